"""The auditor's reader on a real Kafka: what is committed, what was aborted, what is open, and where each log ends."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from events.connection import KafkaConnection, connection
from events.topics import TOPICS, topic_name
from simulator import audit_run, audit_workers, log_fetch
from simulator.audit.evidence import Evidence
from simulator.audit.log import Entry, Extent, Fate
from simulator.audit_run import audit_namespace
from simulator.broker.embedded import EmbeddedBroker
from simulator.history import HistoryWriter, InvalidHistory
from simulator.log_reader import LogReader, LogReadError

SHOP = "shop"


@pytest.fixture
async def cluster(kafka: EmbeddedBroker, namespace: str) -> KafkaConnection:
    """The five topics of a fresh namespace, two partitions each."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics(
        [
            NewTopic(topic_name(namespace, name), 2, 1, topic_configs=topic.created_with)
            for name, topic in TOPICS.items()
        ]
    )
    await admin.close()
    return connection(kafka.bootstrap_servers)


@asynccontextmanager
async def writer(cluster: KafkaConnection, identity: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id=identity)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def entries(reader: LogReader, topic: str) -> list[Entry]:
    return [entry for partition in (0, 1) async for batch in reader.read(topic, partition) for entry in batch]


async def write(producer: AIOKafkaProducer, topic: str, *values: bytes, partition: int = 0) -> None:
    sends = [await producer.send(topic, value, key=b"any", partition=partition) for value in values]
    for sent in sends:
        await sent


async def test_committed_aborted_and_open_records_are_told_apart(
    cluster: KafkaConnection, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass tells every record's fate and producer, past markers and in pieces smaller than the log."""
    monkeypatch.setattr(log_fetch, "FETCH_BYTES", 100)  # a batch at a time
    charges = topic_name(namespace, "charges")
    async with writer(cluster, f"{namespace}-a") as first, writer(cluster, f"{namespace}-b") as second:
        await first.begin_transaction()
        await write(first, charges, b"kept 1", b"kept 2", b"kept 3")
        await first.commit_transaction()
        await first.begin_transaction()
        await write(first, charges, b"dropped 1", b"dropped 2", b"dropped 3")
        await first.abort_transaction()
        await first.begin_transaction()
        await write(first, charges, b"kept 4")
        await first.commit_transaction()
        await second.begin_transaction()
        await write(second, charges, b"open 1", b"open 2")
        async with LogReader(cluster, namespace) as reader:
            read = await entries(reader, "charges")
            bounds = reader.extent.bounds["charges", 0]
        await second.abort_transaction()
    found = [(entry.value, entry.fate) for entry in read]
    assert {entry.producer for entry in read if entry.fate is Fate.OPEN}.isdisjoint(
        {entry.producer for entry in read if entry.fate is not Fate.OPEN}
    )
    assert all(entry.producer is not None for entry in read)
    kept, dropped, open_ = Fate.COMMITTED, Fate.ABORTED, Fate.OPEN
    assert found == [
        *((f"kept {n}".encode(), kept) for n in (1, 2, 3)),
        *((f"dropped {n}".encode(), dropped) for n in (1, 2, 3)),
        (b"kept 4", kept),
        (b"open 1", open_),
        (b"open 2", open_),
    ]
    # The marker of "kept 4" may come after "open 1": EndTxn is answered before it is written.
    first_open = min(entry.offset for entry in read if entry.fate is Fate.OPEN)
    assert (bounds.start, bounds.stable, bounds.end) == (0, first_open, 12)
    assert first_open in (9, 10)


async def test_log_that_ends_with_an_aborted_transaction_is_read_to_its_end(
    cluster: KafkaConnection, namespace: str
) -> None:
    """The end is a position: nothing readable comes after the last aborted record, and the reader does not wait."""
    keys = topic_name(namespace, "keys")
    async with writer(cluster, f"{namespace}-a") as producer:
        await producer.begin_transaction()
        await write(producer, keys, b"dropped", partition=1)
        await producer.abort_transaction()
    async with LogReader(cluster, namespace) as reader:
        assert [entry.fate for entry in await entries(reader, "keys")] == [Fate.ABORTED]
        assert await entries(reader, "replies") == []


async def test_namespace_that_is_not_there_is_one_sentence(kafka: EmbeddedBroker) -> None:
    """Asking for a namespace nobody made says so, and makes no topic."""
    with pytest.raises(LogReadError, match=r"There is no topic nowhere\.commands"):
        async with LogReader(connection(kafka.bootstrap_servers), "nowhere"):
            pass


@pytest.mark.parametrize(("at_once", "workers"), [(10_000, 1), (0, 1), (0, 2)], ids=["at once", "sliced", "shared out"])
async def test_audit_of_a_namespace_reads_the_real_log(
    cluster: KafkaConnection,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
    workers: int,
    tmp_path: Path,
) -> None:
    """A command that nobody has executed yet makes the verdict unknown, and an invented charge makes it invalid.

    With a history it is the same, beside what its customers say.
    """
    monkeypatch.setattr(audit_run, "AT_ONCE_RECORDS", at_once)
    monkeypatch.setattr(audit_run, "workers_for", lambda _: workers)
    command = {
        "command_id": "00000000-0000-7000-8000-000000000001",
        "type": "charge.create",
        "merchant_id": SHOP,
        "idempotency_key": "k",
        "issued_at": 1,
        "deadline_at": 99_999_999_999_999,
        "payload": {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa"},
    }
    async with writer(cluster) as producer:
        sent = await producer.send(topic_name(namespace, "commands"), json.dumps(command).encode(), key=SHOP.encode())
        partition = (await sent).partition
        report = await audit_namespace(cluster, namespace)
        assert report.verdict == "unknown"
        assert "in flight" in report.unknown[0]
        assert report.counts.commands == 1
        event = {
            "event_id": "evt_" + "0" * 32,
            "type": "charge.succeeded",
            "charge_id": "ch_" + "0" * 32,
            "merchant_id": SHOP,
            "amount": 700,
            "currency": "eur",
            "sequence": 1,
            "occurred_at": 1,
            "command_id": "99999999-0000-7000-8000-000000000000",
            "idempotency_key": None,
            "data": {"charge": {}},
        }
        await write(producer, topic_name(namespace, "charges"), json.dumps(event).encode(), partition=partition)
    said: list[str] = []
    report = await audit_namespace(cluster, namespace, progress=said.append)
    assert report.verdict == "invalid"
    assert report.found("phantom_charge") == 1
    assert "reading charges: 1 records" in said
    history = tmp_path / "history.jsonl"
    asks = {"merchant_id": SHOP, "operation": "charge.create", "payload": command["payload"], "at": 1}
    with HistoryWriter(history) as writing:
        writing.write({"kind": "run", "at": 1, "started_at": 1, "namespace": namespace})
        for intent, key in (("i1", "k"), ("i2", "never arrived")):
            writing.write({"kind": "intent", "intent": intent, **asks})
            writing.write({"kind": "invoke", "intent": intent, "attempt": 1, "idempotency_key": key, **asks})
            writing.write({"kind": "info", "intent": intent, "attempt": 1, "at": 2, "reason": "timeout"})
    report = await audit_namespace(cluster, namespace, history=history)
    assert (report.verdict, report.found("phantom_charge")) == ("invalid", 1)
    assert (report.counts.intents, report.counts.left_unknown) == (2, 2)
    assert sorted((one.delivered, one.intents) for one in report.comparison.deliveries) == [(0, 1), (1, 1)]
    assert report.comparison.certainty.never_settled == 2
    with pytest.raises(InvalidHistory, match="without what its kind needs"):
        await audit_namespace(cluster, namespace, history=[{"kind": "run"}, {"kind": "invoke", "intent": "i3"}])


async def test_a_process_that_dies_is_no_verdict(
    cluster: KafkaConnection, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its partitions hold is not known; the others are stopped."""
    monkeypatch.setattr(audit_workers.sys, "executable", "/bin/false")
    async with LogReader(cluster, namespace) as reader:
        evidence = Evidence(namespace, "exactly-once", reader.extent)
        with pytest.raises(LogReadError, match=r"audited partitions 0 ended with exit code 1"):
            await audit_workers.audit_in_processes(cluster, evidence, 2, lambda _: None)


async def test_a_process_that_cannot_read_says_why(namespace: str) -> None:
    """Its sentence is the sentence of the whole."""
    nowhere = connection("127.0.0.1:1")
    evidence = Evidence(namespace, "exactly-once", Extent(1, {}))
    with pytest.raises(LogReadError, match=r"127\.0\.0\.1:1"):
        await audit_workers.audit_in_processes(nowhere, evidence, 1, lambda _: None)
