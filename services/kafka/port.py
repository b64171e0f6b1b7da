"""The small port to the log: all that the processor's protocol may ask of Kafka.

In:      positions, records to append, offsets, a member id and generation.
Out:     records, positions, base offsets, assignments.
Units:   offsets count records of one partition; timestamps are Unix milliseconds; waits are in milliseconds.
Errors:  only those of services.kafka.errors, sorted by what the caller must do.
Source:  DESIGN, "Exactly once". Two adapters, Kafka and memory, pass one contract suite (tests/contract).

Whoever implements the port owns sleeping, clocks and tasks; whoever uses it owns none of them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class TopicPartition(NamedTuple):
    topic: str
    partition: int


Headers = Sequence[tuple[str, bytes]]


class Record(Protocol):
    """One record as read. Both of services.kafka.fetched are one already, so that reading copies nothing."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Outgoing(NamedTuple):
    """One record to append; a value of None is a tombstone."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Assignment(NamedTuple):
    """What one rebalance gave this member, captured as the first statement of the listener."""

    member_id: str
    generation: int
    partitions: frozenset[int]


class Scope(NamedTuple):
    """All that the transactions of one writer ever touch."""

    topics: tuple[str, ...]
    group: str


class Reader(Protocol):
    """Reads assigned partitions from given positions, without a group and without a reset policy."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these partitions from exactly these offsets, and no others. Never awaits."""

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Fetch no more of these until `resume`; their positions stay."""

    def resume(self, partitions: Sequence[TopicPartition]) -> None: ...

    async def fetch(self, max_wait_ms: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Whole batches as they came; empty when nothing was readable within max_wait_ms.

        Raises Retriable when the log cannot be reached, OffsetOutOfRange when a position is not on the log.
        """

    def position(self, partition: TopicPartition) -> int:
        """The next offset to be read, also when no record came: past markers, aborted, compacted records."""

    async def close(self) -> None: ...


class Writer(Protocol):
    """One producer: at most one open Kafka transaction, over any number of partitions."""

    async def start(self) -> None:
        """Take the identity over from whoever had it, aborting its transaction (plain InitProducerId)."""

    async def recover(self) -> None:
        """After Indefinite or an abortable error: InitProducerId with the old producer id and epoch.

        Raises Fenced when another process has taken the identity; otherwise a new epoch is ours and
        whatever was open is ended, committed or not: the log tells.
        """

    async def produce(self, records: Mapping[TopicPartition, Sequence[Outgoing]]) -> dict[TopicPartition, int]:
        """Append whole batches, split by bytes; wait for every answer. Returns each first record's offset."""

    async def send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        """Add the group's offsets to the transaction, checked against the member id and generation given.

        An empty member id or a generation below 0 is refused here: the broker takes them as "do not check".
        """

    async def commit(self) -> None:
        """End the transaction; returns when the broker said so; Indefinite when it said nothing."""

    async def abort(self) -> None:
        """End the transaction without its records. Nothing open: does nothing."""

    async def idle(self) -> None:
        """There is nothing to write: time to see whether the last end can be read by everybody."""

    async def close(self) -> None:
        """Let go of the connections at once; ends nothing, flushes nothing."""


class Membership(Protocol):
    """One member of a consumer group that owns partitions and reads no record."""

    async def start(self, predecessor: str | None) -> None:
        """Evict the predecessor (LeaveGroup; unknown is fine), then join."""

    @property
    def current(self) -> Assignment | None:
        """The newest assignment that the listener recorded; None before the first.

        During a rebalance it is still the one before: the broker takes its offsets until the next generation begins.
        """

    async def changed(self, seen: Assignment | None, max_wait_ms: int) -> Assignment | None:
        """Wait until `current` is not `seen`, max_wait_ms at most; returns `current` then."""

    async def confirm(self, assignment: Assignment) -> bool:
        """True when a Heartbeat with these values answers 0 and the listener has recorded this generation."""

    async def rejoin(self) -> None:
        """Forget the membership and join afresh, under a new member id (error 25)."""

    async def close(self) -> None:
        """Leave the group."""


class Log(Protocol):
    """A cluster: makes readers, writers and memberships, and answers questions about offsets."""

    async def reader(self, *, committed: bool = True, small: bool = False) -> Reader:
        """`small` reads little at a time: for whoever must not hold up others."""

    async def writer(self, transactional_id: str, transaction_timeout_ms: int, scope: Scope) -> Writer: ...

    async def plain_writer(self) -> Writer:
        """A writer without Kafka transactions, for the guarantees below exactly-once.

        Idempotent producer, acks=all. `send_offsets` commits to the group at once; `commit` and `abort` do
        nothing. After any failed produce the caller must make a new one.
        """

    async def membership(self, group: str, topic: str, session_timeout_ms: int) -> Membership: ...

    async def stable_offsets(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int | None]:
        """The group's offsets once no open transaction carries any (require_stable); None: never set.

        Raises Retriable while one still does after a second; an abandoned one lives for its time-out.
        """

    async def tell_offsets(self, group: str, positions: Mapping[TopicPartition, int]) -> None:
        """Commit a reader's positions to a group without members, for monitors to see; tried once.

        Raises Retriable, Indefinite or Abortable; whoever keeps its positions elsewhere may ignore them.
        """

    async def write_missing_markers(self, scope: Scope) -> int:
        """End what is open in this scope though its transaction was decided: a killed broker may leave such.

        For whoever waits for the end of another's transaction. Returns how many partitions it was missing in.
        """

    async def log_starts(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]: ...

    async def high_watermarks(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """ListOffsets with isolation 0: the end of the log, open transactions included."""

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Each topic's id (UUID text): another id under the same name is another log."""

    async def close(self) -> None: ...
