"""What a broker knows, in memory: logs with markers, producers with epochs, groups with generations.

In:      the requests of producers, readers and members, as plain calls that answer at once.
Out:     offsets, epochs, records; errors by Kafka's own numbers.
Units:   offsets count records of one partition; timestamps in Unix milliseconds, from the clock handed in.
Errors:  services.kafka.errors by way of the table of codes.
Source:  KIP-890, KIP-447, KIP-360; it exists because it passes the contract suite that real Kafka passes.

No I/O, no tasks, no clock of its own: the same calls in the same order give the same log.
"""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.kafka.codes import Code, Request, failure
from services.kafka.errors import KafkaFailure, OffsetOutOfRange
from services.kafka.port import Assignment, Headers, Outgoing, TopicPartition

_NAMESPACE = uuid.UUID("7f0c1a52-6d9e-4c6e-9a3b-0d1d2b7c5e11")


class MemoryRecord(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)
class _Transaction:
    began_at: int
    partitions: dict[TopicPartition, int] = field(default_factory=dict)  # to its first offset there
    offsets: dict[tuple[str, str, int], int] = field(default_factory=dict)
    aborted: bool = False


@dataclass(slots=True)
class _Log:
    compacted: bool
    records: list[tuple[MemoryRecord, _Transaction | None]] = field(default_factory=list)
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class _Producer:
    producer_id: int
    epoch: int
    last_epoch: int
    timeout_ms: int
    transaction: _Transaction | None = None


@dataclass(slots=True)
class _Group:
    topic: str
    generation: int = 0
    members: dict[str, Callable[[Assignment | None], None]] = field(default_factory=dict)
    shares: dict[str, frozenset[int]] = field(default_factory=dict)


class MemoryBroker:
    """Make topics first; `changed` is called after anything that a waiting reader or member may care for."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._logs: dict[TopicPartition, _Log] = {}
        self._topics: dict[str, int] = {}
        self._ids: dict[str, uuid.UUID] = {}
        self._producers: dict[str, _Producer] = {}
        self._groups: dict[str, _Group] = {}
        self._offsets: dict[tuple[str, str, int], int] = {}
        self._minted = 0
        self.changed: Callable[[], None] = lambda: None

    # Topics

    def create_topic(self, name: str, partitions: int, *, compacted: bool = False) -> None:
        """Make a topic, or make it again: another id, and nothing of the old one left."""
        self._topics[name] = partitions
        self._ids[name] = uuid.uuid5(_NAMESPACE, f"{name} {self._mint()}")
        for number in range(partitions):
            self._logs[TopicPartition(name, number)] = _Log(compacted)
        self.changed()

    def topic_id(self, name: str) -> str:
        if name not in self._ids:
            raise failure(Code.unknown_topic_or_partition, Request.OTHER, f"topic {name}")
        return str(self._ids[name])

    def partitions(self, topic: str) -> int:
        return self._topics.get(topic, 0)

    def high_watermark(self, where: TopicPartition) -> int:
        return self._log(where).end

    def log_start(self, where: TopicPartition) -> int:
        return self._log(where).start

    def last_stable_offset(self, where: TopicPartition) -> int:
        return min(
            (
                one.transaction.partitions[where]
                for one in self._producers.values()
                if one.transaction and where in one.transaction.partitions
            ),
            default=self._log(where).end,
        )

    def delete_before(self, where: TopicPartition, offset: int) -> None:
        log = self._log(where)
        log.start = offset
        log.records = [one for one in log.records if one[0].offset >= offset]

    def compact(self, where: TopicPartition) -> None:
        """Keep the newest record of each key and no tombstone; the end of the log stays where it was."""
        log, stable = self._log(where), self.last_stable_offset(where)
        settled = [one for one in log.records if one[0].offset < stable and not (one[1] and one[1].aborted)]
        newest = {record.key: record.offset for record, _ in settled}
        kept = [one for one in settled if newest[one[0].key] == one[0].offset and one[0].value is not None]
        log.records = kept + [one for one in log.records if one[0].offset >= stable]

    def read(
        self, where: TopicPartition, position: int, *, committed: bool, most: int
    ) -> tuple[list[MemoryRecord], int]:
        """The records from a position on, and the next position: past markers, aborted and compacted ones."""
        log = self._log(where)
        end = self.last_stable_offset(where) if committed else log.end
        if not log.start <= position <= log.end:
            raise OffsetOutOfRange(f"the position is not on the log: {where} {position}", code=1)
        found: list[MemoryRecord] = []
        for record, transaction in log.records:
            if record.offset < position:
                continue
            if record.offset >= end:
                break
            if committed and transaction is not None and transaction.aborted:
                continue
            if len(found) == most:
                return found, record.offset
            found.append(record)
        return found, max(position, end)

    def append(
        self, where: TopicPartition, records: Sequence[Outgoing], transaction: _Transaction | None = None
    ) -> int:
        log, now_ms = self._log(where), self._now_ms()
        base_offset = log.end
        for record in records:
            log.records.append((MemoryRecord(log.end, now_ms, *record), transaction))
            log.end += 1
        self.changed()
        return base_offset

    # Producers

    def init_producer_id(
        self, transactional_id: str, timeout_ms: int, producer_id: int = -1, epoch: int = -1
    ) -> tuple[int, int]:
        """Plain: take over. With the old id and epoch: go on, unless somebody else has taken over."""
        self.expire()
        known = self._producers.get(transactional_id)
        if known is None:
            known = self._producers[transactional_id] = _Producer(self._mint(), -1, -1, timeout_ms)
        elif producer_id >= 0 and producer_id != known.producer_id:
            raise failure(Code.producer_fenced, Request.INIT_PRODUCER_ID, transactional_id)
        elif producer_id >= 0 and epoch != known.epoch:
            if epoch != known.last_epoch:
                raise failure(Code.producer_fenced, Request.INIT_PRODUCER_ID, transactional_id)
            return known.producer_id, known.epoch
        self._close(known, committed=False)
        known.last_epoch = epoch if producer_id >= 0 else -1
        known.epoch += 1
        known.timeout_ms = timeout_ms
        return known.producer_id, known.epoch

    def produce(
        self,
        transactional_id: str,
        producer_id: int,
        epoch: int,
        where: TopicPartition,
        records: Sequence[Outgoing],
    ) -> int:
        producer = self._current(transactional_id, producer_id, epoch, Request.PRODUCE)
        transaction = self._open(producer)
        transaction.partitions.setdefault(where, self._log(where).end)
        return self.append(where, records, transaction)

    def txn_offset_commit(
        self, transactional_id: str, producer_id: int, epoch: int, group: str, topic: str,
        offsets: dict[int, int], member: Assignment,
    ) -> None:  # fmt: skip
        producer = self._current(transactional_id, producer_id, epoch, Request.TXN_OFFSET_COMMIT)
        self._check_member(group, member, Request.TXN_OFFSET_COMMIT)
        transaction = self._open(producer)
        transaction.offsets |= {(group, topic, number): offset for number, offset in offsets.items()}

    def end_txn(self, transactional_id: str, producer_id: int, epoch: int, *, committed: bool) -> tuple[int, int]:
        """Every end moves the epoch, so that a late copy of any request before it is refused."""
        self.expire()
        producer = self._producers.get(transactional_id)
        if producer is None:
            raise failure(Code.invalid_producer_id_mapping, Request.END_TXN, transactional_id)
        if producer.producer_id == producer_id and producer.last_epoch == epoch and not producer.transaction:
            raise failure(Code.invalid_txn_state, Request.END_TXN, transactional_id)
        if producer.producer_id != producer_id or producer.epoch != epoch:
            raise failure(Code.producer_fenced, Request.END_TXN, transactional_id)
        if producer.transaction is None and committed:
            raise failure(Code.invalid_txn_state, Request.END_TXN, transactional_id)
        self._close(producer, committed=committed)
        producer.last_epoch, producer.epoch = producer.epoch, producer.epoch + 1
        return producer.producer_id, producer.epoch

    def expire(self) -> None:
        """Abort what has been open too long, and move the epoch of whoever let it."""
        for producer in self._producers.values():
            transaction = producer.transaction
            if transaction and self._now_ms() - transaction.began_at > producer.timeout_ms:
                self._close(producer, committed=False)
                producer.last_epoch, producer.epoch = producer.epoch, producer.epoch + 1

    def _current(self, transactional_id: str, producer_id: int, epoch: int, request: Request) -> _Producer:
        self.expire()
        producer = self._producers.get(transactional_id)
        if producer is None or producer.producer_id != producer_id or producer.epoch != epoch:
            raise failure(Code.invalid_producer_epoch, request, transactional_id)
        return producer

    def _open(self, producer: _Producer) -> _Transaction:
        if producer.transaction is None:
            producer.transaction = _Transaction(self._now_ms())
        return producer.transaction

    def _close(self, producer: _Producer, *, committed: bool) -> None:
        transaction, producer.transaction = producer.transaction, None
        if transaction is None:
            return
        transaction.aborted = not committed
        for where in transaction.partitions:
            self._log(where).end += 1  # the marker
        if committed:
            self._offsets |= transaction.offsets
        self.changed()

    # Groups

    def commit_offsets(self, group: str, topic: str, offsets: dict[int, int], member: Assignment) -> None:
        self._check_member(group, member, Request.OFFSET_COMMIT)
        self.set_offsets(group, topic, offsets)

    def set_offsets(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        """As anybody may who is no member: a rewind."""
        self._offsets |= {(group, topic, number): offset for number, offset in offsets.items()}
        self.changed()

    def stable_offsets(self, group: str, topic: str, partitions: Iterable[int]) -> dict[int, int | None] | KafkaFailure:
        self.expire()
        names = {(group, topic, number) for number in partitions}
        for producer in self._producers.values():
            if producer.transaction and names & producer.transaction.offsets.keys():
                return failure(Code.unstable_offset_commit, Request.OTHER, f"the offsets of group {group}")
        return {name[2]: self._offsets.get(name) for name in sorted(names)}

    def join(self, group: str, topic: str, member_id: str, assigned: Callable[[Assignment | None], None]) -> None:
        self._groups.setdefault(group, _Group(topic)).members[member_id] = assigned
        self._next_generation(self._groups[group])

    def leave(self, group: str, member_id: str) -> None:
        known = self._groups.get(group)
        if known is None or member_id not in known.members:
            return
        known.members.pop(member_id)(None)
        self._next_generation(known)

    def share_out(self, group: str) -> None:
        """End a rebalance: every member learns its share. Until then nobody has heard that they own nothing."""
        known = self._groups[group]
        members = sorted(known.members)
        known.shares = {
            one: frozenset(range(at, self.partitions(known.topic), len(members))) for at, one in enumerate(members)
        }
        for one, assigned in known.members.items():
            assigned(Assignment(one, known.generation, known.shares[one]))

    def is_member(self, group: str, member: Assignment) -> bool:
        known = self._groups.get(group)
        return known is not None and member.member_id in known.shares and member.generation == known.generation

    def mint_member_id(self, client_id: str) -> str:
        return f"{client_id}-{uuid.uuid5(_NAMESPACE, str(self._mint()))}"

    def _next_generation(self, group: _Group) -> None:
        group.generation += 1
        group.shares = {}

    def _check_member(self, group: str, member: Assignment, request: Request) -> None:
        known = self._groups.get(group)
        if known is None or member.member_id not in known.members:
            raise failure(Code.unknown_member_id, request, group)
        if member.generation != known.generation:
            raise failure(Code.illegal_generation, request, group)

    def _log(self, where: TopicPartition) -> _Log:
        if where not in self._logs:
            raise failure(Code.unknown_topic_or_partition, Request.OTHER, f"{where.topic} {where.partition}")
        return self._logs[where]

    def _mint(self) -> int:
        self._minted += 1
        return self._minted
