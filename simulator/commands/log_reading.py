"""Read a topic as it stands, and then as it grows; committed records only.

In:      a KafkaConnection, a topic name.
Out:     records in the order they were appended, per partition; the newest ones merged by log time.
Errors:  Failure, one sentence: no broker there, no such topic.
Source:  CONTRACT, "The log": offsets have gaps, so the end is a position, never "the last record seen".
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from events.connection import KafkaConnection
from simulator.commands.console import Teller
from simulator.failure import Failure
from simulator.log_watch import client_options

POLL_MS = 500
REQUEST_TIMEOUT_MS = 5_000
SILENCE_S = 2.0  # whoever waits longer is told what for


@asynccontextmanager
async def reading(connection: KafkaConnection) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of no group that reads what is committed."""
    with Teller() as tell:
        waiting = asyncio.get_running_loop().call_later(SILENCE_S, tell.progress, f"reaching {connection.bootstrap}")
        try:
            consumer = await _reach(connection)
        finally:
            waiting.cancel()
    try:
        yield consumer
    except KafkaError as error:
        raise Failure(f"The Kafka at {connection.bootstrap} stopped answering: {error!r}") from None
    finally:
        await consumer.stop()


async def _reach(connection: KafkaConnection) -> AIOKafkaConsumer:
    options = client_options(connection) | {"client_id": "payonce-simulator-look"}
    consumer = AIOKafkaConsumer(
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **options,
    )
    try:
        await consumer.start()
    except BaseException as error:
        await consumer.stop()
        if not isinstance(error, KafkaError | ValueError):
            raise
        from simulator.broker import cluster  # noqa: PLC0415  kio is slow to load, and only now needed

        await cluster.check(connection)  # says which of many reasons it was
        raise Failure(f"No Kafka answers at {connection.bootstrap}.") from None
    return consumer


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """Every partition of a topic that exists; asking creates none."""
    if topic not in await consumer.topics():
        raise Failure(f"There is no topic {topic} on this Kafka; is --namespace right?")
    first = TopicPartition(topic, 0)
    consumer.assign([first])  # from here on it keeps this topic's metadata, which `topics` does not
    await consumer.beginning_offsets([first])
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


async def read_whole(consumer: AIOKafkaConsumer, topic: str) -> list[ConsumerRecord]:
    """Every committed record of a topic, partition by partition."""
    partitions = await partitions_of(consumer, topic)
    return await _read_from(consumer, await consumer.beginning_offsets(partitions))


async def read_newest(consumer: AIOKafkaConsumer, topic: str, count: int) -> list[ConsumerRecord]:
    """The newest `count` records by log time; leaves the consumer at the end of what it read."""
    partitions = await partitions_of(consumer, topic)
    first = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    window = 2 * count + 16  # a Kafka transaction of one record takes two offsets
    while True:
        starts = {tp: max(first[tp], ends[tp] - window) for tp in partitions}
        records = await _read_from(consumer, starts)
        if len(records) >= count or starts == first:
            records.sort(key=lambda record: (record.timestamp, record.partition, record.offset))
            return records[-count:] if count else []
        window *= 4


async def follow(consumer: AIOKafkaConsumer) -> AsyncIterator[list[ConsumerRecord]]:
    """What is appended from here on, for ever; nothing, twice a second, where nothing is."""
    while True:
        found = await consumer.getmany(timeout_ms=POLL_MS)
        yield [record for records in found.values() for record in records]


async def _read_from(consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int]) -> list[ConsumerRecord]:
    """Everything from these positions to the last stable offsets of now."""
    consumer.assign(list(starts))
    for tp, offset in starts.items():
        consumer.seek(tp, offset)
    ends = await consumer.end_offsets(list(starts))
    pending = {tp for tp in starts if starts[tp] < ends[tp]}
    found: list[ConsumerRecord] = []
    while pending:
        for records in (await consumer.getmany(*pending, timeout_ms=POLL_MS)).values():
            found += records
        reached = {tp: await consumer.position(tp) for tp in pending}
        pending = {tp for tp in pending if reached[tp] < ends[tp]}
    return found
