"""The writers of the log in memory, and what may happen to their EndTxn.

In:      as services.kafka.port.
Out:     as services.kafka.port.
Errors:  those of services.kafka.errors, by the same rules as the writers on Kafka.
"""

from collections.abc import Callable, Mapping, Sequence

from services.kafka.errors import Abortable, Indefinite, KafkaFailure, NotMember, StaleGeneration
from services.kafka.memory_broker import MemoryBroker
from services.kafka.port import Assignment, Outgoing, TopicPartition


class MemoryFaults:
    """What happens to the next EndTxn of this cluster."""

    def __init__(self) -> None:
        self._next: list[str] = []
        self._held: list[Callable[[], object]] = []

    def lose_next_end(self, *, answer_only: bool) -> None:
        """The request never arrives, or it does and its answer is lost."""
        self._next.append("answer" if answer_only else "request")

    def hold_next_end(self) -> None:
        """The request arrives when `release_end` is called, long after its sender has given up."""
        self._next.append("hold")

    def release_end(self) -> int:
        """Let the held request arrive; returns the broker's error number."""
        try:
            self._held.pop(0)()
        except KafkaFailure as error:
            return error.code or 0
        return 0

    def pass_end(self, end: Callable[[], tuple[int, int]]) -> tuple[int, int]:
        fault = self._next.pop(0) if self._next else None
        if fault == "hold":
            self._held.append(end)
        if fault in ("hold", "request"):
            raise Indefinite("EndTxn was not answered")
        answer = end()
        if fault == "answer":
            raise Indefinite("EndTxn was not answered")
        return answer


class MemoryWriter:
    """As the writer on Kafka: after a failure only an abort helps, after an uncertain one only recovery."""

    def __init__(self, broker: MemoryBroker, faults: MemoryFaults, transactional_id: str, timeout_ms: int) -> None:
        self._broker = broker
        self._faults = faults
        self._transactional_id = transactional_id
        self._timeout_ms = timeout_ms
        self._identity = (-1, -1)
        self._open = self._failed = self._uncertain = self._carries_offsets = False

    async def start(self) -> None:
        self._adopt(self._broker.init_producer_id(self._transactional_id, self._timeout_ms))

    async def idle(self) -> None:
        """An end and its markers are one step here."""

    async def recover(self) -> None:
        self._uncertain = True
        self._adopt(self._broker.init_producer_id(self._transactional_id, self._timeout_ms, *self._identity))

    async def produce(self, records: Mapping[TopicPartition, Sequence[Outgoing]]) -> dict[TopicPartition, int]:
        self._begin_step()
        try:
            return {
                where: self._broker.produce(self._transactional_id, *self._identity, where, several)
                for where, several in records.items()
                if several
            }
        except KafkaFailure:
            self._uncertain = True
            raise

    async def send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        _refuse_unchecked(member)
        self._begin_step()
        try:
            self._broker.txn_offset_commit(self._transactional_id, *self._identity, group, topic, dict(offsets), member)
        except (StaleGeneration, NotMember):
            self._failed = True
            raise
        except KafkaFailure:
            self._uncertain = True
            raise
        self._carries_offsets = True

    async def commit(self) -> None:
        if not self._open:
            return
        self._begin_step()
        assert self._carries_offsets, "a transaction without offsets is not fenced by the group's generation"
        self._end(committed=True)

    async def abort(self) -> None:
        if not self._open:
            return
        if not self._uncertain:
            try:
                self._end(committed=False)
            except (Abortable, Indefinite):
                self._uncertain = True
            else:
                return
        await self.recover()

    async def close(self) -> None:
        """Ends nothing: what is open stays open until its time-out, or the next `start`."""

    def _begin_step(self) -> None:
        if self._failed or self._uncertain or self._identity[0] < 0:
            raise Abortable("the transaction before ended badly: abort or recover first")
        self._open = True

    def _end(self, *, committed: bool) -> None:
        identity = self._identity

        def end() -> tuple[int, int]:
            return self._broker.end_txn(self._transactional_id, *identity, committed=committed)

        try:
            self._adopt(self._faults.pass_end(end))
        except KafkaFailure:
            self._uncertain = True
            raise

    def _adopt(self, identity: tuple[int, int]) -> None:
        self._identity = identity
        self._open = self._failed = self._uncertain = self._carries_offsets = False


class MemoryPlainWriter:
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def start(self) -> None:
        """There is no identity to take."""

    async def idle(self) -> None:
        """Whatever was written can be read."""

    async def recover(self) -> None:
        """Nothing is open."""

    async def produce(self, records: Mapping[TopicPartition, Sequence[Outgoing]]) -> dict[TopicPartition, int]:
        return {where: self._broker.append(where, several) for where, several in records.items() if several}

    async def send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        _refuse_unchecked(member)
        self._broker.commit_offsets(group, topic, dict(offsets), member)

    async def commit(self) -> None:
        """Nothing is open."""

    async def abort(self) -> None:
        """Nothing is open."""

    async def close(self) -> None:
        """Nothing is held."""


def _refuse_unchecked(member: Assignment) -> None:
    if not member.member_id or member.generation < 0:
        raise StaleGeneration("offsets without a member id and a generation would be checked by nobody")
