"""The ledger as a process on a real Kafka: transactions, markers, kills, deleted and restarted databases."""

import asyncio
import json
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from sqlalchemy import create_engine, text

from events.connection import connection
from services.kafka.admin import ensure_topics
from services.kafka.kafka_log import KafkaLog
from services.readmodel import ReadModel, Unavailable
from services.readmodel.engine import database_url
from simulator.broker.embedded import EmbeddedBroker
from tests.support.databases import Postgres, postgres, sqlite_url
from tests.support.ledger_records import SHOP, Rec, command, event, key_record, position
from tests.support.services import ServiceProcess, service
from tests.support.wait import wait_until

WITHIN_S = 20.0


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    running: Postgres = request.getfixturevalue("server")
    return running.new_database()


class Desk:
    """One partition of a namespace, written as a processor writes it, and the read side of its ledger."""

    def __init__(self, kafka: EmbeddedBroker, namespace: str, url: str, directory: Path) -> None:
        self.kafka, self.namespace, self.url, self.directory = kafka, namespace, url, directory
        self.read = ReadModel(url)

    async def make_topics(self) -> None:
        log = await KafkaLog.connect(connection(self.kafka.bootstrap_servers), client_id="test")
        await ensure_topics(log.cluster, self.namespace, 1)
        await log.close()

    @asynccontextmanager
    async def producer(self, transactional_id: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
        made = AIOKafkaProducer(
            bootstrap_servers=self.kafka.bootstrap_servers,
            transactional_id=f"{self.namespace}.{transactional_id}" if transactional_id else None,
        )
        await made.start()
        try:
            yield made
        finally:
            await made.stop()

    async def send(self, producer: AIOKafkaProducer, topic: str, *records: Rec) -> None:
        for record in records:
            await producer.send_and_wait(f"{self.namespace}.{topic}", record.value, key=record.key, partition=0)

    async def write(self, topic: str, *records: Rec) -> None:
        async with self.producer() as producer:
            await self.send(producer, topic, *records)

    async def ends(self) -> dict[str, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap_servers)
        await consumer.start()
        try:
            topics = [f"{self.namespace}.{topic}" for topic in ("charges", "keys", "commands")]
            found = await consumer.end_offsets([TopicPartition(topic, 0) for topic in topics])
        finally:
            await consumer.stop()
        return {where.topic: at for where, at in found.items()}

    async def caught_up(self) -> None:
        """Wait until every position is at the high watermark."""
        ends = await self.ends()
        reached: dict[str, int | None] = {}

        def is_there() -> bool:
            reached.update({topic: self.read.position(topic, 0) for topic in ends})
            return all((reached[topic] or 0) >= end for topic, end in ends.items())

        await wait_until(is_there, timeout_s=WITHIN_S, message=lambda: f"positions {reached}, ends {ends}")

    async def captured(self, expected: int) -> None:
        """Wait until this much is captured, exactly."""
        seen: list[int] = []

        def is_there() -> bool:
            try:
                seen[:] = [each["captured"] for each in self.read.balances(SHOP)]
            except Unavailable:
                return False
            return seen == [expected]

        await wait_until(is_there, timeout_s=WITHIN_S, message=lambda: f"captured {seen}, not {expected}")

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PAYONCE_KAFKA": self.kafka.bootstrap_servers,
            "PAYONCE_NAMESPACE": self.namespace,
            "PAYONCE_PARTITIONS": "1",
            "PAYONCE_LEDGER_URL": self.url,
            "PAYONCE_LISTEN": "127.0.0.1:0",
            **more,
        }

    def ledger(self, **more: str):  # type: ignore[no-untyped-def]  # a context manager of ServiceProcess
        return service("ledger", self.directory, self.environment(**more))

    def close(self) -> None:
        self.read.close()


@pytest.fixture
async def desk(kafka: EmbeddedBroker, namespace: str, url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(kafka, namespace, url, tmp_path / "ledger")
    await made.make_topics()
    yield made
    made.close()


def delete(url: str) -> None:
    """The whole database, as an operator would."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).unlink()
        return
    engine = create_engine(database_url(url))
    with engine.begin() as connected:
        connected.execute(text("DROP SCHEMA public CASCADE"))
        connected.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def answer(process: ServiceProcess, path: str) -> str:
    with urllib.request.urlopen(f"{process.url}{path}", timeout=5) as response:
        return response.read().decode()


async def test_only_committed_records_are_booked_and_markers_are_passed(desk: Desk) -> None:
    """A committed transaction is applied, an aborted one passed, an open one waited for; a kill changes nothing."""
    with desk.ledger() as ledger:
        async with desk.producer("p") as producer:
            async with producer.transaction():
                await desk.send(producer, "charges", event(0))
                await desk.send(producer, "keys", key_record(0), position(1, 1))
            await desk.captured(500)
            await desk.caught_up()
            await producer.begin_transaction()
            await desk.send(producer, "charges", event(0, number=2))
            await producer.abort_transaction()
            await desk.caught_up()
            assert desk.read.balances(SHOP)[0]["captured"] == 500
            await producer.begin_transaction()
            await desk.send(producer, "charges", event(0, number=3))
            await desk.write("commands", command(0))
            await wait_until(
                lambda: desk.read.position(f"{desk.namespace}.commands", 0) == 1, timeout_s=WITHIN_S, message="command"
            )
            assert desk.read.balances(SHOP)[0]["captured"] == 500
            ledger.process.send_signal(signal.SIGKILL)
            await producer.commit_transaction()
    with desk.ledger() as ledger:
        await desk.captured(1000)
        await desk.caught_up()
        assert answer(ledger, "/healthz") == '{"status":"ok"}'
        assert answer(ledger, "/readyz") == '{"status":"ready"}'
        assert "payonce_ledger_records_total" in answer(ledger, "/metrics")
        assert f"{desk.namespace}.charges" in answer(ledger, "/docs")
        assert ledger.stop() == 0


async def test_a_database_deleted_while_the_ledger_runs_is_rebuilt_from_the_log(desk: Desk) -> None:
    """File unlinked or tables dropped: the same balances come back, every record booked once."""
    with desk.ledger() as ledger:
        await desk.write("charges", event(0), event(1, number=2))
        await desk.captured(1000)
        delete(desk.url)
        await desk.write("charges", event(2, number=3))
        await desk.captured(1500)
        await desk.caught_up()
        assert len(ledger.logged("ledger_rebuilt")) == 2
        assert ledger.stop() == 0


async def test_no_record_stops_the_ledger(desk: Desk) -> None:
    """Garbage in every topic is skipped with a line each, and what follows is booked."""
    garbage = [Rec(0, b"shop", b"\xff\x00"), Rec(0, b"x", None), Rec(0, b"shop", b'{"a":1,"a":2}')]
    with desk.ledger() as ledger:
        for topic in ("charges", "keys", "commands"):
            await desk.write(topic, *garbage)
        await desk.write("charges", event(0, amount=0), event(0, command_id="\0"), event(0))
        await desk.captured(500)
        await desk.caught_up()
        assert len(ledger.logged("record_skipped")) == 11


async def test_another_log_under_the_same_name_is_rebuilt_from(desk: Desk) -> None:
    """Topics deleted and made again while the ledger is down: nothing of the old log stays."""
    with desk.ledger() as ledger:
        await desk.write("charges", event(0))
        await desk.captured(500)
        assert ledger.stop() == 0
    admin = AIOKafkaAdminClient(bootstrap_servers=desk.kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([f"{desk.namespace}.charges"])
    await admin.close()
    await asyncio.wait_for(desk.make_topics(), WITHIN_S)
    await desk.write("charges", event(0, amount=7))
    with desk.ledger():
        await desk.captured(7)


@pytest.mark.parametrize(
    ("bug", "drift", "imbalance"), [("skip-posting", True, False), ("unbalanced-entry", False, True)]
)
async def test_a_switched_on_bug_shows_in_the_database(desk: Desk, bug: str, drift: bool, imbalance: bool) -> None:
    """`skip-posting` makes balances differ from their postings, `unbalanced-entry` postings not add up to zero."""
    with desk.ledger(PAYONCE_BREAK=f"{bug},no-fingerprint"):
        await desk.write("charges", *(event(0, number=number) for number in range(3)))
        await desk.caught_up()
    engine = create_engine(database_url(desk.url))
    with engine.connect() as connected:
        total = connected.scalar(text("SELECT SUM(amount) FROM postings"))
    engine.dispose()
    balance = desk.read.balances(SHOP)[0]
    assert (balance["captured"] != 1500) is drift
    assert (int(total or 0) != 0) is imbalance


async def test_effects_show_within_milliseconds_of_the_commit(desk: Desk) -> None:
    """On an idle ledger a committed event is in the database long before a waiting GET gives up."""
    took_ms = []
    with desk.ledger():
        async with desk.producer("p") as producer:
            for number in range(1, 31):
                async with producer.transaction():
                    await desk.send(producer, "charges", event(0, number=number))
                began = time.perf_counter()
                await desk.captured(500 * number)
                took_ms.append((time.perf_counter() - began) * 1000)
    took_ms.sort()
    print(json.dumps({"commit_to_visible_ms": {"p50": took_ms[15], "max": took_ms[-1]}}))
    assert took_ms[15] < 250, f"median {took_ms[15]:.0f} ms of {took_ms}"


async def test_a_restarted_postgresql_is_waited_for(
    kafka: EmbeddedBroker, namespace: str, server: Postgres, tmp_path: Path
) -> None:
    """While PostgreSQL is down the ledger lives and is not ready; afterwards it books what came meanwhile, once."""
    desk = Desk(kafka, namespace, server.new_database(), tmp_path)
    await desk.make_topics()
    with desk.ledger() as ledger:
        await desk.write("charges", event(0))
        await desk.captured(500)
        server.stop()
        try:
            await desk.write("charges", event(0, number=2))
            await wait_until(
                lambda: ledger.logged("ledger_interrupted"), timeout_s=WITHIN_S, message="the ledger noticed nothing"
            )
            assert ledger.process.poll() is None
        finally:
            server.start()
        await desk.captured(1000)
        assert len(ledger.logged("ledger_interrupted")) == 1
        assert ledger.stop() == 0
    desk.close()
