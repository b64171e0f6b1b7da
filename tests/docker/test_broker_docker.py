"""The broker in a container, on a real Docker engine (`make docker-test`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from simulator.broker import Broker, make_broker
from simulator.broker.ports import HOST, ReservedPorts
from simulator.broker.probe import serves
from tests.support.wait import wait_until_sync

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One container for all tests here, its second listener advertised at a proxy that nobody runs."""
    proxy = ReservedPorts(1)
    made = make_broker("docker", tmp_path_factory.mktemp("docker"), proxy_address=f"{HOST}:{proxy.numbers[0]}")
    try:
        made.start()
        yield made
    finally:
        made.stop()
        proxy.release()


def answers(address: str) -> bool:
    host, port = address.split(":")
    return serves(host, int(port))


async def advertised(address: str) -> str:
    """Where this listener sends its clients."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    (node,) = admin._client.cluster.brokers()
    await admin.close()
    return f"{node.host}:{node.port}"


async def test_a_kafka_transaction_survives_a_kill(broker: Broker) -> None:
    """What was committed before SIGKILL is read after the restart, at the same address."""
    address = broker.bootstrap_servers
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic("spoken", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id="speaker")
    async with producer, producer.transaction():
        await producer.send_and_wait("spoken", b"said", partition=0)
    broker.kill()
    assert not broker.alive()
    broker.restart()
    assert broker.bootstrap_servers == address
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    async with consumer:
        consumer.assign([TopicPartition("spoken", 0)])
        assert (await consumer.getone()).value == b"said"


def test_a_paused_container_is_silent(broker: Broker) -> None:
    """Paused it answers nothing; resumed it serves."""
    broker.pause()
    assert not answers(broker.bootstrap_servers)
    broker.resume()
    wait_until_sync(lambda: answers(broker.bootstrap_servers), timeout_s=20, message="silent after unpause")


async def test_the_second_listener_sends_clients_to_the_proxy(broker: Broker) -> None:
    """Who asks the proxied listener learns the proxy's address; who asks the direct one does not."""
    assert broker.proxied_upstream is not None
    assert await advertised(broker.proxied_upstream) == broker.proxied_bootstrap_servers
    assert await advertised(broker.bootstrap_servers) == broker.bootstrap_servers


def test_stopping_keeps_the_log_and_removes_the_container(tmp_path: Path) -> None:
    """After a clean stop the broker's log is in the run's folder, and there is no process."""
    made = make_broker("docker", tmp_path)
    made.start()
    made.stop()
    assert made.pid is None
    assert made.log_path is not None
    assert made.log_path.stat().st_size > 0
