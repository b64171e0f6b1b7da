"""The topics of one run: made as the contract wants them, filled with the same bytes as every other run's, deleted.

In:      a KafkaConnection, a namespace, batches of prepared commands.
Out:     nothing but what is then on the log.
Units:   bytes.
Errors:  Failure, one sentence, when the cluster does not do it in time.
Source:  a batch is made once and appended again and again: its records are the same and the broker stamps its time.
         aiokafka's producer takes no batch twice, so its client is asked directly, without idempotence: a batch that
         was appended twice is found out when the answers are counted.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NotLeaderForPartitionError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest

from events.connection import KafkaConnection
from events.partitioner import partition_of
from events.topics import TOPICS, topic_name
from simulator.failure import Failure
from simulator.log_watch import client_options
from simulator.workload.prepared import Prepared

BATCH_BYTES_MAX: Final = 512 * 1024  # half of what the topic takes
WITHIN_S: Final = 60.0
PAUSE_S: Final = 0.1
NOT_YET: Final = (LeaderNotAvailableError, NotLeaderForPartitionError, UnknownTopicOrPartitionError)
HEADERS: Final = [("reply_to", b"bench")]  # as a gateway's commands have it


class Feed(NamedTuple):
    """Whole batches by partition, and what the answers will be held against."""

    batches: Mapping[int, Sequence[bytes]]
    command_ids: frozenset[bytes]
    replays: int


def feed(commands: Iterable[Prepared], partitions: int) -> Feed:
    """What one run reads."""
    builders: dict[int, BatchBuilder] = {}
    batches: defaultdict[int, list[bytes]] = defaultdict(list)
    ids: list[bytes] = []
    replays = 0
    for command in commands:
        ids.append(command.command_id)
        replays += command.is_replay
        where = partition_of(command.key, partitions)
        said = {"timestamp": None, "key": command.key, "value": command.value, "headers": HEADERS}
        if where not in builders or builders[where].append(**said) is None:
            if where in builders:
                batches[where].append(bytes(builders[where]._build()))
            builders[where] = BatchBuilder(BATCH_BYTES_MAX, 0)
            assert builders[where].append(**said) is not None, "a command is smaller than a batch"
    for where, builder in builders.items():
        batches[where].append(bytes(builder._build()))
    return Feed(batches, frozenset(ids), replays)


@asynccontextmanager
async def client_of(connection: KafkaConnection) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(request_timeout_ms=30_000, **client_options(connection) | {"client_id": "payonce-bench"})
    await client.bootstrap()
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def topics(connection: KafkaConnection, namespace: str, partitions: int) -> AsyncIterator[None]:
    """Afterwards every topic whose name begins with the namespace is gone, a subject's own ones too."""
    admin = AIOKafkaAdminClient(**client_options(connection))
    await admin.start()
    try:
        try:
            async with asyncio.timeout(WITHIN_S):
                await _create(admin, namespace, partitions)
        except (KafkaError, TimeoutError) as error:
            raise Failure(f"The topics of {namespace} could not be made: {error}.") from None
        yield
    finally:
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(WITHIN_S):
                there = await admin.list_topics()
                await admin.delete_topics([name for name in there if name.startswith(namespace)])
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, namespace: str, partitions: int) -> None:
    names = [topic_name(namespace, key) for key in TOPICS]
    wanted = [
        NewTopic(topic_name(namespace, key), partitions, 1, topic_configs=dict(topic.created_with))
        for key, topic in TOPICS.items()
    ]
    await admin.create_topics(wanted)
    while True:
        told = await admin.describe_topics(names)
        led = [one["leader"] >= 0 for topic in told for one in topic["partitions"]]
        if len(led) == len(names) * partitions and all(led):
            return
        await asyncio.sleep(PAUSE_S)


async def fill(client: AIOKafkaClient, namespace: str, what: Feed) -> None:
    """All of the feed onto `commands`, each partition's batches in their order."""
    topic = topic_name(namespace, "commands")
    client.add_topic(topic)
    await client.force_metadata_update()
    spots = [TopicPartition(topic, where) for where in what.batches]
    try:
        await asyncio.gather(*(_append(client, spot, what.batches[spot.partition]) for spot in spots))
    except KafkaError as error:
        raise Failure(f"The commands could not be put onto {topic}: {error}.") from None


async def _append(client: AIOKafkaClient, spot: TopicPartition, batches: Sequence[bytes]) -> None:
    for batch in batches:
        await _produce(client, spot, batch)


async def _produce(client: AIOKafkaClient, spot: TopicPartition, batch: bytes) -> None:
    """Asked again only where the broker has said that it took nothing."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            leader = client.cluster.leader_for_partition(spot)
            if leader is None or leader < 0:
                raise LeaderNotAvailableError(f"{spot.topic} {spot.partition}")
            request = ProduceRequest(None, -1, 30_000, [(spot.topic, [(spot.partition, batch)])])
            answer: Any = await client.send(leader, request)
            code = answer.topics[0][1][0][1]
            if code:
                raise for_code(code)(f"{spot.topic} {spot.partition}")
        except NOT_YET:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(PAUSE_S)
            await client.force_metadata_update()
        else:
            return
