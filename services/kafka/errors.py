"""What went wrong with Kafka, told apart by what the caller must do.

KafkaFailure
├── Retriable         nothing was done, or doing it again is harmless: try again, bounded
│   ├── OffsetOutOfRange   the position is not on the log: a decision, not a retry, for whoever reads
│   └── NotSent            the record is not on the log and will not be: provably nothing left
├── Abortable         this transaction is lost: abort or recover, drop the speculative state, start afresh
│   ├── StaleGeneration    22: the group has moved on; wait for the next assignment
│   └── NotMember          25: the group does not know us; drop everything, rejoin
├── Indefinite        no answer: it may have happened; `Writer.recover`, take over again, let the log tell
├── Fenced            another process has this identity: exit with code 4, do not restart
└── Fatal             configuration, authorization, version: one sentence, then stop
    └── Unfit              the topics or the cluster are not what we were told: another start would say the same
"""


class KafkaFailure(Exception):  # its kinds say what to do, not that something is wrong
    """The base of everything the log can refuse; never raised itself."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        if type(self) is KafkaFailure:
            raise TypeError("raise one of its kinds: the caller must know what to do")
        super().__init__(message)
        self.code = code  # Kafka's error number, None where no answer carried one


class Retriable(KafkaFailure): ...


class OffsetOutOfRange(Retriable): ...


class NotSent(Retriable): ...


class Abortable(KafkaFailure): ...


class StaleGeneration(Abortable): ...


class NotMember(Abortable): ...


class Indefinite(KafkaFailure): ...


class Fenced(KafkaFailure): ...


class Fatal(KafkaFailure): ...


class Unfit(Fatal): ...
