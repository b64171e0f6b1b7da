"""The processors' backlog, from the log's own positions on a real Kafka."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from events.connection import connection
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from simulator.broker.embedded import EmbeddedBroker
from simulator.load_backlog import Backlog
from simulator.log_hands import move_group_offsets
from simulator.log_watch import LogWatch
from tests.support.wait import wait_until

PARTITIONS = 2


@pytest.fixture
async def watch(kafka: EmbeddedBroker, namespace: str) -> AsyncIterator[LogWatch]:
    log = await KafkaLog.connect(connection(kafka.bootstrap_servers), client_id="test")
    await log.ensure_topics(namespace, PARTITIONS)
    await log.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    for number in range(5):
        await producer.send_and_wait(topic_name(namespace, "commands"), b"{}", partition=number % PARTITIONS)
    await producer.stop()
    async with LogWatch(connection(kafka.bootstrap_servers), namespace) as opened:
        yield opened


async def test_it_drains_when_the_group_has_reached_the_end(watch: LogWatch) -> None:
    """Five commands wait until somebody commits their ends; the time counts from the last arrival."""
    async with Backlog(watch) as backlog:

        async def has_seen_them() -> bool:
            return backlog.most == 5

        await wait_until(has_seen_them, timeout_s=20, message="the backlog was never seen")
        backlog.arrivals_over()
        assert not await backlog.drain(1.0)
        assert backlog.at_last_arrival == 5
        await move_group_offsets(watch, {0: 3, 1: 2})
        assert await backlog.drain(20.0)
    told = backlog.to_json()
    assert told["most_commands"] == 5
    assert told["drained_s"] >= 1.0


async def test_a_backlog_that_never_drains_is_not_said_to_have(watch: LogWatch) -> None:
    """Nobody works: there is no time to tell."""
    async with Backlog(watch) as backlog:
        backlog.arrivals_over()
        assert not await backlog.drain(1.5)
    assert backlog.to_json() == {"most_commands": 5, "at_last_arrival": 5, "drained_s": None}
