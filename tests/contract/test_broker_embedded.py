"""The embedded broker: a real Kafka that starts, is killed and comes back, on the same ports and data."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from simulator.broker import Broker, EmbeddedBroker
from simulator.broker.ports import HOST, ReservedPorts
from simulator.broker.probe import serves
from tests.support.brokers import OwnBroker, own_broker
from tests.support.wait import wait_until, wait_until_sync


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnBroker]:
    """A broker for this module's tests to kill, pause and restart."""
    with own_broker() as own:
        yield own


async def say(broker: Broker, topic: str, text: bytes) -> None:
    """One record in one Kafka transaction, into a topic that is made if it is not there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    if topic not in await admin.list_topics():
        await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, transactional_id=topic)
    async with producer, producer.transaction():
        await producer.send_and_wait(topic, text, partition=0)


async def heard(broker: Broker, topic: str, count: int) -> list[bytes]:
    """The first committed records of a topic, read with the broker's own eyes."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        values: list[bytes] = []

        async def enough() -> bool:
            fetched = await consumer.getmany(timeout_ms=100)
            values.extend(record.value for records in fetched.values() for record in records)
            return len(values) >= count

        await wait_until(enough, timeout_s=15, message=lambda: f"{len(values)} of {count} records readable")
        return values


async def test_a_kafka_transaction_is_read_back(kafka: EmbeddedBroker, namespace: str) -> None:
    """The session's broker is a Kafka: a record committed in a transaction is read back."""
    await say(kafka, f"{namespace}.spoken", b"said")
    assert await heard(kafka, f"{namespace}.spoken", 1) == [b"said"]


async def test_first_records_take_no_megabytes(broker: OwnBroker, namespace: str) -> None:
    """The index files of a log are small from its beginning: the kernel may read all of them at their first entry."""
    await say(broker, f"{namespace}-small", b"one")
    index_files = list((broker.log_path.parent / "data" / f"{namespace}-small-0").glob("*index"))
    sizes = {file.suffix: file.stat().st_size for file in index_files}
    assert set(sizes) == {".index", ".timeindex"}
    assert all(size <= 256 * 1024 for size in sizes.values()), sizes


async def test_sigkill_and_restart_keep_ports_and_records(broker: OwnBroker, namespace: str) -> None:
    """After SIGKILL it serves again at the same address within 8 s, with everything that was committed."""
    await say(broker, namespace, b"before")
    address, old_pid = broker.bootstrap_servers, broker.pid
    broker.kill()
    assert not broker.alive()
    assert broker.pid is None
    started = time.monotonic()
    broker.restart()
    elapsed_s = time.monotonic() - started
    assert elapsed_s < 8, f"served again after {elapsed_s:.1f} s"
    assert broker.bootstrap_servers == address
    assert broker.pid not in (None, old_pid)
    await say(broker, namespace, b"after")
    assert await heard(broker, namespace, 2) == [b"before", b"after"]


async def test_clean_stop_and_start_keep_records(broker: OwnBroker, namespace: str) -> None:
    """A clean stop is quick, ends the process, and loses nothing; stopping twice is harmless."""
    await say(broker, namespace, b"kept")
    broker.stop()
    broker.stop()
    assert not broker.alive()
    broker.start()
    assert await heard(broker, namespace, 1) == [b"kept"]


def test_any_folder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks, a comma, a backslash, a percent sign and umlauts, also where the locale knows only ASCII."""
    monkeypatch.setenv("LC_ALL", "C")
    broker = EmbeddedBroker(tmp_path / "über uns, a\\b %20 日#=!")
    try:
        broker.start()
        assert broker.alive()
    finally:
        broker.close()


def test_a_paused_broker_is_alive_and_silent(broker: OwnBroker) -> None:
    """SIGSTOP leaves the process and its connections, answers nothing, and SIGCONT undoes it."""
    host, port = broker.bootstrap_servers.split(":")
    broker.pause()
    assert broker.alive()
    assert not serves(host, int(port), timeout_s=0.3)
    broker.resume()
    wait_until_sync(lambda: serves(host, int(port)), timeout_s=10, message="it did not serve after SIGCONT")


def test_a_paused_broker_can_be_stopped(broker: OwnBroker) -> None:
    """Stopping does not wait for a process that cannot hear."""
    broker.pause()
    broker.stop()
    assert not broker.alive()
    broker.start()
    assert broker.alive()


def test_the_pid_takes_signals_from_anybody(broker: OwnBroker) -> None:
    """The pid is the broker's own: who kills it by pid kills Kafka, and restart brings it back."""
    assert broker.pid is not None
    process = psutil.Process(broker.pid)
    assert "kafka.Kafka" in process.cmdline()
    process.send_signal(signal.SIGKILL)
    wait_until_sync(lambda: not broker.alive(), timeout_s=5, message="it survived SIGKILL")
    broker.restart()
    assert broker.alive()


def test_it_dies_with_whoever_started_it(tmp_path: Path) -> None:
    """A program that is SIGKILLed leaves no broker behind, whichever of its threads started it."""
    program = (
        "import sys, pathlib, threading, time; from simulator.broker import EmbeddedBroker;"
        "broker = EmbeddedBroker(pathlib.Path(sys.argv[1]));"
        "thread = threading.Thread(target=broker.start); thread.start(); thread.join();"
        "print(broker.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    kafka = psutil.Process(int(parent.stdout.readline()))
    assert kafka.is_running()
    parent.kill()
    parent.communicate()
    wait_until_sync(lambda: not _lives(kafka), timeout_s=5, message=f"Kafka {kafka.pid} outlived its parent")


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def test_clients_of_the_second_listener_are_sent_to_the_proxy() -> None:
    """Who asks the proxied listener learns the proxy's address; who asks the direct one never does."""
    proxy = ReservedPorts(1)
    proxy_address = f"{HOST}:{proxy.numbers[0]}"
    with own_broker(proxy_address=proxy_address) as broker:
        assert broker.proxied_bootstrap_servers == proxy_address
        assert broker.proxied_upstream is not None
        assert await _advertised(broker.proxied_upstream) == proxy_address
        assert await _advertised(broker.bootstrap_servers) == broker.bootstrap_servers
    proxy.release()


async def _advertised(address: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    (node,) = admin._client.cluster.brokers()
    await admin.close()
    return f"{node.host}:{node.port}"


def test_reserved_ports_are_given_to_nobody_else() -> None:
    """While reserved, a port is neither handed out by the kernel nor in the way of a server that wants it."""
    reserved = ReservedPorts(3)
    handed_out = []
    for _ in range(200):
        with socket.socket() as other:
            other.bind((HOST, 0))
            handed_out.append(other.getsockname()[1])
    assert not set(handed_out) & set(reserved.numbers)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, reserved.numbers[0]))
        server.listen()
    reserved.release()
