"""One partition's records off the wire, each with its fate and its producer, in a single pass.

In:      an aiokafka client, a partition, where it begins, is stable up to and ends.
Out:     record batches in offset order, several at a time, and the offset after them; bounded by FETCH_BYTES.
Units:   offsets; bytes; milliseconds and seconds as named.
Errors:  KafkaError, whatever the broker answers that waiting does not help; TimeoutError without progress.
Source:  Kafka's Fetch with isolation level 1 gives every record below the last stable offset, aborted ones too, and
         beside them which producer aborted from which offset on, up to that producer's marker. aiokafka's consumer
         uses that to drop records and tells neither it nor a batch's producer; so its client is asked directly.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import CorruptRecordException, KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from simulator.audit.log import Batch, Bounds, Fate

FETCH_BYTES: Final = 2 * 1024 * 1024
STALLED_S: Final = 30.0
PAUSE_S: Final = 0.1
WAIT_MS: Final = 200
READ_UNCOMMITTED, READ_COMMITTED = 0, 1


class Fetched(NamedTuple):
    """What one answer held, and where to go on; nothing where `reached` is where it began."""

    batches: list[Batch]
    reached: int


async def fetch(client: AIOKafkaClient, tp: TopicPartition, bounds: Bounds) -> AsyncIterator[Fetched]:
    """All of [start, end), the next answer being on its way while the one before is worked on."""
    at = bounds.start
    under_way = asyncio.create_task(_next(client, tp, at, bounds))
    try:
        while True:
            fetched = await under_way
            at = fetched.reached
            if at < bounds.end:
                under_way = asyncio.create_task(_next(client, tp, at, bounds))
            yield fetched
            if at >= bounds.end:
                return
    finally:
        under_way.cancel()
        await asyncio.gather(under_way, return_exceptions=True)


async def _next(client: AIOKafkaClient, tp: TopicPartition, at: int, bounds: Bounds) -> Fetched:
    """The first answer that leads on from `at`."""
    deadline = time.monotonic() + STALLED_S
    is_stable = at < bounds.stable
    limit = bounds.stable if is_stable else bounds.end
    while True:
        try:
            data, aborted = await _ask(client, tp, at, READ_COMMITTED if is_stable else READ_UNCOMMITTED)
            fetched = _decode(tp, data, aborted, at, limit, is_stable=is_stable)
            if fetched.reached > at:
                return fetched
        except KafkaError as error:
            if not getattr(error, "retriable", False) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(PAUSE_S)
            await client.force_metadata_update()
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave nothing at {at} for {STALLED_S:.0f} s")


async def _ask(client: AIOKafkaClient, tp: TopicPartition, at: int, isolation: int) -> tuple[bytes, Sequence[Any]]:
    leader = client.cluster.leader_for_partition(tp)
    if leader is None or leader < 0:
        raise LeaderNotAvailableError(f"{tp.topic} {tp.partition}")
    request = FetchRequest(WAIT_MS, 1, FETCH_BYTES, isolation, [(tp.topic, [(tp.partition, at, FETCH_BYTES)])])
    answer = await client.send(leader, request)
    (_, partitions), *_ = answer.topics
    _, code, _, _, *rest = partitions[0]  # last stable offset; then what differs by version; records come last
    if code:
        raise for_code(code)(f"{tp.topic} {tp.partition} at {at}")
    by_position = [part for part in rest if isinstance(part, list)]
    return rest[-1], (by_position[0] if by_position else ())


def _decode(
    tp: TopicPartition, data: bytes, aborted: Sequence[tuple[int, int]], at: int, limit: int, *, is_stable: bool
) -> Fetched:
    """Of the batches the records of [at, limit); markers and what compaction removed only move on."""
    begins = sorted(((first, producer) for producer, first in aborted), reverse=True)
    aborting: set[int] = set()
    batches: list[Batch] = []
    reached = at
    records = MemoryRecords(data)
    while reached < limit and records.has_next():
        batch = records.next_batch()
        if not batch.validate_crc():
            raise CorruptRecordException(f"{tp.topic} {tp.partition} at {reached}: the checksum is wrong")
        producer = getattr(batch, "producer_id", None)
        while begins and begins[-1][0] <= batch.base_offset:
            aborting.add(begins.pop()[1])
        if batch.is_control_batch:
            aborting.discard(producer)
        else:
            is_aborted = producer in aborting and batch.is_transactional
            fate = Fate.OPEN if not is_stable else Fate.ABORTED if is_aborted else Fate.COMMITTED
            who = (producer, batch.producer_epoch) if producer is not None and producer >= 0 else None
            found = list(batch)
            if batch.base_offset < at or batch.next_offset > limit:
                found = [one for one in found if at <= one.offset < limit]
            if found:
                batches.append(_columns(tp.partition, found, fate, who))
        reached = max(reached, min(batch.next_offset, limit))
    return Fetched(batches, reached)


def _columns(partition: int, found: list[Any], fate: Fate, who: tuple[int, int] | None) -> Batch:
    return Batch(
        partition,
        [one.offset for one in found],
        [one.timestamp for one in found],
        [one.key for one in found],
        [one.value for one in found],
        [one.headers for one in found],
        fate,
        who,
    )
