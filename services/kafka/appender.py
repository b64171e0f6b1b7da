"""Append whole batches to many partitions and wait for every answer.

In:      records by partition; the producer's id and epoch.
Out:     for each partition the offset of its first record, or what went wrong there.
Units:   milliseconds, bytes.
Errors:  those of Produce; Indefinite when a batch may or may not be on the log at the end of patience.

One batch per partition and request; the next one leaves when this one is acknowledged, so that sequence
numbers never overtake each other. A batch without a certain answer is sent again unchanged: its sequence
numbers make that harmless.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, cast

from services.kafka.batches import SEQUENCES, Batch, batches
from services.kafka.cluster import Cluster, Lane
from services.kafka.codes import Code, Kind, Request, failure, kind
from services.kafka.errors import Fatal, Indefinite, KafkaFailure, Retriable
from services.kafka.patience import Patience
from services.kafka.port import Outgoing, TopicPartition
from services.kafka.producing import Produce

REQUEST_BYTES_MAX: Final = 16 * 1024 * 1024  # far below the broker's socket.request.max.bytes of 100 MiB
_SAME_BROKER: Final = (Code.concurrent_transactions, Code.corrupt_message)  # no fault of the leader's


class _Pending:
    """What is left to append to one partition."""

    __slots__ = ("base_offset", "batch", "certain", "rest", "settled", "trouble")

    def __init__(self, rest: Iterator[Batch], settled: Callable[[int | KafkaFailure], None]) -> None:
        self.rest = rest
        self.settled = settled
        self.batch: Batch | None = next(rest, None)
        self.base_offset = -1
        self.certain = True  # so far it is known of every batch whether it is on the log
        self.trouble: KafkaFailure | None = None  # of the last round; another round may mend it

    def acknowledged(self, base_offset: int) -> None:
        if self.base_offset < 0:
            self.base_offset = base_offset
        self.batch = next(self.rest, None)
        self.certain = True
        self.trouble = None
        if self.batch is None:
            self.settled(self.base_offset)

    def failed(self, error: KafkaFailure) -> None:
        """Give up; where a batch may be on the log, or some of several are, nobody is told that none is."""
        self.batch = None
        uncertain = not self.certain or self.base_offset >= 0
        if uncertain and not isinstance(error, Fatal):
            error = Indefinite(f"records may or may not have been appended: {error}", code=error.code)
        self.settled(error)


class Appender:
    """The sequence numbers of one producer id and epoch, and the requests that carry them."""

    def __init__(
        self,
        cluster: Cluster,
        transactional_id: str | None,
        produce_timeout_ms: int,
        before_again: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """`before_again` is awaited before anything is sent again to a broker that may be another one by now."""
        self._cluster = cluster
        self._before_again = before_again
        self._transactional_id = transactional_id
        self._timeout_ms = produce_timeout_ms
        self._producer_id, self._epoch = -1, -1
        self._sequences: dict[TopicPartition, int] = {}

    def begin(self, producer_id: int, epoch: int) -> None:
        """A new epoch: sequence numbers start at 0 in every partition."""
        self._producer_id, self._epoch = producer_id, epoch
        self._sequences = {}

    async def append(
        self, records: Mapping[TopicPartition, Sequence[Outgoing]], within_ms: float
    ) -> dict[TopicPartition, int]:
        """All of it, or the worst of what went wrong; no more appends then, until `begin`."""
        outcomes = await self.append_each(records, within_ms)
        failures = [one for one in outcomes.values() if isinstance(one, KafkaFailure)]
        if failures:
            raise max(failures, key=_severity)
        return cast(dict[TopicPartition, int], outcomes)

    async def append_each(
        self,
        records: Mapping[TopicPartition, Sequence[Outgoing]],
        within_ms: float,
        told: Callable[[TopicPartition, int | KafkaFailure], None] | None = None,
    ) -> dict[TopicPartition, int | KafkaFailure]:
        """As `append`, each partition on its own; calls at once must not name the same partition.

        `told` hears of each as soon as it is settled: one whose broker is away keeps no other waiting.
        """
        patience = Patience(within_ms)
        now_ms = time.time_ns() // 1_000_000
        outcomes: dict[TopicPartition, int | KafkaFailure] = {}

        def settled(where: TopicPartition, outcome: int | KafkaFailure) -> None:
            self._sequences[where] = (self._sequences.get(where, 0) + len(records[where])) % SEQUENCES
            outcomes[where] = outcome
            if told is not None:
                told(where, outcome)

        pending = {
            where: _Pending(self._batches(where, several, now_ms), partial(settled, where))
            for where, several in records.items()
            if several
        }
        while waiting := {where: one for where, one in pending.items() if one.batch is not None}:
            await self._round(waiting)
            troubled = [one for one in waiting.values() if one.trouble and one.batch]
            if not troubled:
                continue
            if patience.spent:
                for one in troubled:
                    assert one.trouble is not None
                    one.failed(one.trouble)
            elif self._before_again and any(one.trouble.code not in _SAME_BROKER for one in troubled if one.trouble):
                await self._before_again()
            await patience.pause()
        return outcomes

    def _batches(self, where: TopicPartition, records: Sequence[Outgoing], now_ms: int) -> Iterator[Batch]:
        return batches(
            records,
            producer_id=self._producer_id,
            epoch=self._epoch,
            sequence=self._sequences.get(where, 0),
            transactional=self._transactional_id is not None,
            timestamp_ms=now_ms,
        )

    async def _round(self, waiting: dict[TopicPartition, _Pending]) -> None:
        """Send each partition's next batch once, and await every answer before any is judged."""
        try:
            by_leader, leaderless = await self._cluster.find_leaders(waiting)
        except (Retriable, Indefinite) as error:
            for one in waiting.values():
                one.trouble = error
            return
        for where, why in leaderless.items():
            waiting[where].trouble = why
        parcels = [
            (leader, {where: waiting[where] for where in some})
            for leader, led in by_leader.items()
            for some in _parcels(led, waiting)
        ]
        if len(parcels) == 1:
            await self._send(*parcels[0])
        else:
            await asyncio.gather(*(self._send(leader, parcel) for leader, parcel in parcels))

    async def _send(self, leader: int, parcel: dict[TopicPartition, _Pending]) -> None:
        try:
            results = await self._cluster.put(leader, Lane.DATA, self._question(parcel))
        except (Retriable, Indefinite) as error:
            self._cluster.forget_leaders(parcel)
            for one in parcel.values():
                one.trouble = error
                one.certain = one.certain and isinstance(error, Retriable)
            return
        for where, code, base_offset in results:
            if code == Code.none:
                parcel[where].acknowledged(base_offset)
            else:
                self._refused(where, parcel[where], code)

    def _refused(self, where: TopicPartition, one: _Pending, code: Code) -> None:
        error = failure(code, Request.PRODUCE, f"{where.topic} {where.partition}")
        if code in (Code.request_timed_out, Code.not_enough_replicas_after_append):
            one.certain = False
        if kind(code, Request.PRODUCE) is not Kind.RETRIABLE:
            one.failed(error)
            return
        if code not in _SAME_BROKER:
            self._cluster.forget_leaders((where,))
        one.trouble = error

    def _question(self, parcel: dict[TopicPartition, _Pending]) -> Produce:
        next_ones = {where: one.batch.data for where, one in parcel.items() if one.batch is not None}
        return Produce(self._transactional_id, self._timeout_ms, next_ones)


def _parcels(led: Sequence[TopicPartition], waiting: dict[TopicPartition, _Pending]) -> Iterator[list[TopicPartition]]:
    """The partitions of one leader, cut so that no request grows beyond REQUEST_BYTES_MAX."""
    parcel: list[TopicPartition] = []
    size = 0
    for where in led:
        batch = waiting[where].batch
        assert batch is not None
        if parcel and size + len(batch.data) > REQUEST_BYTES_MAX:
            yield parcel
            parcel, size = [], 0
        parcel.append(where)
        size += len(batch.data)
    if parcel:
        yield parcel


def _severity(error: KafkaFailure) -> int:
    """Fatal before indefinite before what can be aborted or tried again."""
    if isinstance(error, Fatal):
        return 2
    return 1 if isinstance(error, Indefinite) else 0
