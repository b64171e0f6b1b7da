"""aiokafka's `assign` forgets positions, on a real Kafka: why ours says every position every time."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as Theirs

from events.connection import connection
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, TopicPartition
from simulator.broker.embedded import EmbeddedBroker


async def hundred(kafka: EmbeddedBroker, namespace: str) -> tuple[KafkaLog, TopicPartition, TopicPartition]:
    """A log with a hundred records in each of two partitions."""
    log = await KafkaLog.connect(connection(kafka.bootstrap_servers), client_id="payonce-test")
    await log.ensure_topics(namespace, 2)
    first, second = (TopicPartition(f"{namespace}.commands", number) for number in (0, 1))
    writer = await log.plain_writer()
    await writer.produce({one: [Outgoing(b"k", b"%d" % at) for at in range(100)] for one in (first, second)})
    await writer.close()
    return log, first, second


@pytest.mark.parametrize(("policy", "goes_to"), [("latest", 100), ("earliest", 0)])
async def test_assign_alone_skips_or_reads_again(
    kafka: EmbeddedBroker, namespace: str, policy: str, goes_to: int
) -> None:
    """A consumer at 15 that keeps its partition through aiokafka's assign is elsewhere afterwards, in silence."""
    log, first, second = await hundred(kafka, namespace)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset=policy)
    await consumer.start()
    consumer.assign([Theirs(*first)])
    consumer.seek(Theirs(*first), 15)
    consumer.assign([Theirs(*first), Theirs(*second)])
    assert await asyncio.wait_for(consumer.position(Theirs(*first)), 10) == goes_to
    await consumer.stop()
    await log.close()


async def test_our_assign_keeps_what_it_says(kafka: EmbeddedBroker, namespace: str) -> None:
    """Assigned again and again, a reader reads each record of each partition once, in order."""
    log, first, second = await hundred(kafka, namespace)
    reader = await log.reader()
    read: dict[TopicPartition, list[int]] = {first: [], second: []}
    at = {first: 0}
    reader.assign(at)
    async with asyncio.timeout(30):
        while sum(map(len, read.values())) < 200:
            fetching = asyncio.ensure_future(reader.fetch(200))
            await asyncio.sleep(0)
            for where, records in (await fetching).items():
                # A processor that takes ten and then learns of another assignment.
                taken = [one.offset for one in records][:10]
                read[where] += taken
                at[where] = taken[-1] + 1
            at.setdefault(second, 0)
            reader.assign(at)
            assert {one: reader.position(one) for one in at} == at
    assert read == {first: list(range(100)), second: list(range(100))}
    await reader.close()
    await log.close()
