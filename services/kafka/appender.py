"""Append whole batches to many partitions and wait for every answer.

In:      records by partition; the producer's id and epoch.
Out:     the base offset of each partition's first batch.
Units:   milliseconds, bytes.
Errors:  those of Produce: Abortable, Fatal; Indefinite when a batch may or may not be on the log at the end
         of patience.

One batch per partition and request; the next one leaves when this one is acknowledged, so sequence numbers
never overtake each other. A batch without a certain answer is sent again unchanged: its sequence numbers
make that harmless.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, cast

from kio.schema.produce.v12 import ProduceRequest, ProduceResponse
from kio.schema.produce.v12.request import PartitionProduceData, TopicProduceData
from kio.schema.types import TopicName, TransactionalId
from kio.static.primitive import Records, i16, i32Timedelta

from services.kafka.batches import SEQUENCES, Batch, batches
from services.kafka.cluster import Cluster, Lane, partition_index
from services.kafka.codes import Code, Kind, Request, failure, kind
from services.kafka.errors import Indefinite, Retriable
from services.kafka.patience import Patience
from services.kafka.port import Outgoing, TopicPartition

REQUEST_BYTES_MAX: Final = 16 * 1024 * 1024  # far below the broker's socket.request.max.bytes of 100 MiB
_ACKS_ALL: Final = i16(-1)
_NOT_THE_LEADERS_FAULT: Final = (Code.concurrent_transactions, Code.corrupt_message)


class _Pending:
    """What is left to append to one partition."""

    __slots__ = ("base_offset", "batch", "certain", "rest")

    def __init__(self, rest: Iterator[Batch]) -> None:
        self.rest = rest
        self.batch: Batch | None = next(rest, None)
        self.base_offset = -1
        self.certain = True  # no answer of the present batch was lost

    def acknowledged(self, base_offset: int) -> None:
        if self.base_offset < 0:
            self.base_offset = base_offset
        self.batch = next(self.rest, None)
        self.certain = True


class Appender:
    """The sequence numbers of one producer id and epoch, and the requests that carry them."""

    def __init__(self, cluster: Cluster, transactional_id: str | None, produce_timeout_ms: int) -> None:
        self._cluster = cluster
        self._transactional_id = TransactionalId(transactional_id) if transactional_id is not None else None
        self._timeout = i32Timedelta.parse(timedelta(milliseconds=produce_timeout_ms))
        self._producer_id, self._epoch = -1, -1
        self._sequences: dict[TopicPartition, int] = {}

    def begin(self, producer_id: int, epoch: int) -> None:
        """A new epoch: sequence numbers start at 0 in every partition."""
        self._producer_id, self._epoch = producer_id, epoch
        self._sequences = {}

    async def append(
        self, records: Mapping[TopicPartition, Sequence[Outgoing]], within_ms: float
    ) -> dict[TopicPartition, int]:
        """After any failure the sequence numbers are unusable until `begin`."""
        patience = Patience(within_ms)
        now_ms = time.time_ns() // 1_000_000
        pending = {
            where: _Pending(self._batches(where, several, now_ms))
            for where, several in records.items()
            if several
        }
        while waiting := {where: one for where, one in pending.items() if one.batch is not None}:
            trouble = await self._round(waiting)
            if trouble is None:
                continue
            if patience.spent:
                raise _out_of_patience(waiting, trouble)
            await patience.pause()
        for where in pending:
            self._sequences[where] = (self._sequences.get(where, 0) + len(records[where])) % SEQUENCES
        return {where: one.base_offset for where, one in pending.items()}

    def _batches(self, where: TopicPartition, records: Sequence[Outgoing], now_ms: int) -> Iterator[Batch]:
        return batches(
            records,
            producer_id=self._producer_id,
            epoch=self._epoch,
            sequence=self._sequences.get(where, 0),
            transactional=self._transactional_id is not None,
            timestamp_ms=now_ms,
        )

    async def _round(self, waiting: dict[TopicPartition, _Pending]) -> Retriable | Indefinite | None:
        """Send each partition's next batch once; returns what went wrong in a way that a repeat may mend."""
        try:
            by_leader = await self._cluster.leaders(waiting)
        except (Retriable, Indefinite) as error:
            return error
        sent = [
            self._send(leader, {where: waiting[where] for where in some})
            for leader, led in by_leader.items()
            for some in _parcels(led, waiting)
        ]
        # Every answer is awaited before any is judged: a request still on its way must not meet an abort.
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        trouble: Retriable | Indefinite | None = None
        for outcome in outcomes:
            if isinstance(outcome, Retriable | Indefinite):
                trouble = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
        return trouble

    async def _send(
        self, leader: int, parcel: dict[TopicPartition, _Pending]
    ) -> Retriable | Indefinite | None:
        by_topic: dict[str, list[PartitionProduceData]] = {}
        for where, one in parcel.items():
            assert one.batch is not None
            by_topic.setdefault(where.topic, []).append(
                PartitionProduceData(index=partition_index(where), records=cast(Records, one.batch.data))
            )
        request = ProduceRequest(
            transactional_id=self._transactional_id,
            acks=_ACKS_ALL,
            timeout=self._timeout,
            topic_data=tuple(
                TopicProduceData(name=TopicName(name), partition_data=tuple(data))
                for name, data in by_topic.items()
            ),
        )
        try:
            answer = await self._cluster.call(leader, Lane.DATA, request, ProduceResponse)
        except Retriable:
            self._cluster.forget_leaders(parcel)
            raise
        except Indefinite:
            self._cluster.forget_leaders(parcel)
            for one in parcel.values():
                one.certain = False
            raise
        return self._judge(answer, parcel)

    def _judge(
        self, answer: ProduceResponse, parcel: dict[TopicPartition, _Pending]
    ) -> Retriable | Indefinite | None:
        trouble: Retriable | Indefinite | None = None
        for topic in answer.responses:
            for partition in topic.partition_responses:
                where = TopicPartition(str(topic.name), int(partition.index))
                code = partition.error_code
                if code == Code.none:
                    parcel[where].acknowledged(int(partition.base_offset))
                    continue
                error = failure(code, Request.PRODUCE, f"{where.topic} {where.partition}")
                if kind(code, Request.PRODUCE) is not Kind.RETRIABLE:
                    raise error
                if code not in _NOT_THE_LEADERS_FAULT:
                    self._cluster.forget_leaders((where,))
                assert isinstance(error, Retriable)
                trouble = error
        return trouble


def _parcels(
    led: Sequence[TopicPartition], waiting: dict[TopicPartition, _Pending]
) -> Iterator[list[TopicPartition]]:
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


def _out_of_patience(
    waiting: dict[TopicPartition, _Pending], trouble: Retriable | Indefinite
) -> Retriable | Indefinite:
    if all(one.certain and one.base_offset < 0 for one in waiting.values()):
        return trouble
    return Indefinite(f"records may or may not have been appended: {trouble}", code=trouble.code)
