"""Topics made as the contract wants them, and clusters and topics that are refused in one sentence."""

import asyncio
from datetime import timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from kio.schema.update_features.v1 import UpdateFeaturesRequest, UpdateFeaturesResponse
from kio.schema.update_features.v1.request import FeatureUpdateKey
from kio.static.primitive import i8, i16, i32Timedelta

from events.connection import connection
from events.topics import TOPICS, topic_name
from services.kafka.errors import Fatal
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Scope, TopicPartition
from simulator.broker.embedded import EmbeddedBroker
from tests.support.brokers import own_broker


async def connect(broker: EmbeddedBroker) -> KafkaLog:
    return await KafkaLog.connect(connection(broker.bootstrap_servers), client_id="payonce-test")


async def test_missing_topics_are_made_once_by_whoever_is_first(kafka: EmbeddedBroker, namespace: str) -> None:
    """Several services that start at once make each topic once, and all find it right."""
    logs = [await connect(kafka) for _ in range(3)]
    await asyncio.gather(*(log.ensure_topics(namespace, 3) for log in logs))
    ids = await logs[0].topic_ids([topic_name(namespace, name) for name in TOPICS])
    assert len(set(ids.values())) == len(TOPICS)
    ends = await logs[0].high_watermarks([TopicPartition(name, 2) for name in ids])
    assert set(ends.values()) == {0}
    for log in logs:
        await log.close()


async def test_another_number_of_partitions_is_refused(kafka: EmbeddedBroker, namespace: str) -> None:
    """A namespace keeps the number of partitions that it was created with."""
    log = await connect(kafka)
    await log.ensure_topics(namespace, 2)
    with pytest.raises(Fatal, match=rf"Topic {namespace}\.\S+ has 2 partitions and not 4"):
        await log.ensure_topics(namespace, 4)
    await log.close()


@pytest.mark.parametrize(
    ("topic", "setting", "value"),
    [
        ("keys", "cleanup.policy", "delete"),
        ("charges", "cleanup.policy", "compact"),
        ("commands", "message.timestamp.type", "CreateTime"),
        ("replies", "max.message.bytes", "100000"),
    ],
)
async def test_wrong_settings_are_refused(
    kafka: EmbeddedBroker, namespace: str, topic: str, setting: str, value: str
) -> None:
    """A topic with a setting under which the contract does not hold is named, with what it needs."""
    name = topic_name(namespace, topic)
    wrong = {**TOPICS[topic].required, setting: value}
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, 2, 1, topic_configs=wrong)])
    await admin.close()
    log = await connect(kafka)
    with pytest.raises(Fatal, match=f"Topic {name} has {setting}={value} and needs {TOPICS[topic].required[setting]}"):
        await log.ensure_topics(namespace, 2)
    await log.close()


async def test_a_cluster_without_transaction_version_2_is_refused() -> None:
    """Exactly-once on a cluster whose late requests could end the wrong transaction is refused in one sentence."""
    with own_broker() as broker:
        log = await connect(broker)
        update = UpdateFeaturesRequest(
            timeout=i32Timedelta.parse(timedelta(seconds=10)),
            feature_updates=(
                FeatureUpdateKey(feature="transaction.version", max_version_level=i16(1), upgrade_type=i8(2)),
            ),
        )
        answer = await log.cluster.ask(update, UpdateFeaturesResponse)
        assert int(answer.error_code) == 0, answer

        async def writes() -> None:
            while True:  # until the broker has heard of it itself
                await (await log.writer("t", 10_000, Scope((), "g"))).close()

        async with asyncio.timeout(10):
            with pytest.raises(Fatal, match=r"too old.*set to transaction\.version 1"):
                await writes()
        await (await log.plain_writer()).close()  # below exactly-once it serves
        await log.close()
