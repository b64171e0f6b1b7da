"""What the vandals see of the log and the group, and the one thing they change, on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from events.connection import connection
from events.topics import TOPICS, processor_group, topic_name
from simulator.broker.embedded import EmbeddedBroker
from simulator.log_hands import move_group_offsets
from simulator.log_watch import LogWatch
from tests.support.wait import wait_until

PARTITIONS = 2


@pytest.fixture
async def watch(kafka: EmbeddedBroker, namespace: str) -> AsyncIterator[LogWatch]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic_name(namespace, topic), PARTITIONS, 1) for topic in TOPICS])
    await admin.close()
    async with LogWatch(connection(kafka.bootstrap_servers), namespace) as log:
        yield log


@pytest.fixture
async def producer(kafka: EmbeddedBroker, namespace: str) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=f"{namespace}.test")
    await made.start()
    yield made
    await made.stop()


async def append(producer: AIOKafkaProducer, topic: str, *values: bytes, partition: int = 0) -> None:
    for value in values:
        await (await producer.send(topic, value, partition=partition))


async def test_an_open_transaction_shows_between_the_two_ends(watch: LogWatch, producer: AIOKafkaProducer) -> None:
    """Records of an open transaction lie between the last stable offset and the end, and are gone when
    aborted.
    """
    charges = topic_name(watch.namespace, "charges")
    async with producer.transaction():
        await append(producer, charges, b"kept")
    await producer.begin_transaction()
    await append(producer, charges, b"doomed", b"doomed too")
    spots = watch.spots("charges")
    assert await watch.stable_ends(spots) == {("charges", 0): 2, ("charges", 1): 0}
    assert await watch.ends(spots) == {("charges", 0): 4, ("charges", 1): 0}
    await producer.abort_transaction()

    async def is_ended() -> bool:
        return (await watch.stable_ends(spots))["charges", 0] == 5

    await wait_until(is_ended, timeout_s=5, message="the abort marker never came")
    everything = await watch.read({("charges", 0): (0, 5), ("charges", 1): (0, 0)})
    committed = await watch.read({("charges", 0): (0, 5)}, committed=True)
    assert [record.value for record in everything["charges", 0]] == [b"kept", b"doomed", b"doomed too"]
    assert [record.value for record in committed["charges", 0]] == [b"kept"]
    assert everything["charges", 1] == []


async def test_a_tail_sees_open_records_from_its_start_on(watch: LogWatch, producer: AIOKafkaProducer) -> None:
    """A tail begins at the end and does not wait for a transaction to be committed."""
    charges = topic_name(watch.namespace, "charges")
    async with producer.transaction():
        await append(producer, charges, b"before")
    tail = await watch.tail(watch.spots("charges"))
    try:
        await producer.begin_transaction()
        await append(producer, charges, b"open")
        (records,) = (await tail.getmany(timeout_ms=5_000)).values()
        assert [record.value for record in records] == [b"open"]
        await producer.abort_transaction()
    finally:
        await tail.stop()


async def test_owners_are_known_by_the_instance_in_their_client_id(kafka: EmbeddedBroker, watch: LogWatch) -> None:
    """Each member of the processors' group is named by its instance, with its partitions."""
    members = [
        AIOKafkaConsumer(
            topic_name(watch.namespace, "commands"),
            bootstrap_servers=kafka.bootstrap_servers,
            group_id=processor_group(watch.namespace),
            client_id=f"payonce-processor-{instance}-member",
            heartbeat_interval_ms=300,
            enable_auto_commit=False,
        )
        for instance in ("a0", "b-1")
    ]
    await asyncio.gather(*(member.start() for member in members))
    polling = [asyncio.create_task(member.getmany(timeout_ms=30_000)) for member in members]
    try:

        async def both() -> dict[str, tuple[int, ...]]:
            owners = {owner.instance: owner.partitions for owner in await watch.owners()}
            return owners if len(owners) == 2 else {}

        owners = await wait_until(both, timeout_s=15, message="the group never came to rest")
        assert set(owners) == {"a0", "b-1"}
        assert sorted(owners["a0"] + owners["b-1"]) == [0, 1]
    finally:
        for task in polling:
            task.cancel()
        await asyncio.gather(*polling, return_exceptions=True)
        await asyncio.gather(*(member.stop() for member in members))


async def test_an_outsider_moves_the_offsets_of_an_active_group(
    kafka: EmbeddedBroker, watch: LogWatch, producer: AIOKafkaProducer
) -> None:
    """The group's offsets go back although a member is alive, and only those that were named."""
    commands = topic_name(watch.namespace, "commands")
    async with producer.transaction():
        await append(producer, commands, *[b"{}"] * 8)
        await append(producer, commands, *[b"{}"] * 8, partition=1)
    member = AIOKafkaConsumer(
        commands,
        bootstrap_servers=kafka.bootstrap_servers,
        group_id=processor_group(watch.namespace),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await member.start()
    try:
        await member.getmany(timeout_ms=5_000)
        await member.commit({TopicPartition(commands, 0): 7, TopicPartition(commands, 1): 6})
        assert await watch.group_offsets() == {0: 7, 1: 6}
        await move_group_offsets(watch, {0: 3})

        async def is_moved() -> bool:
            return await watch.group_offsets() == {0: 3, 1: 6}

        await wait_until(is_moved, timeout_s=5, message="the group's offsets did not move")
    finally:
        await member.stop()
