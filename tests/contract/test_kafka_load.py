"""Customers whose commands go straight onto the log, on a real Kafka with a real processor."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from events.connection import connection
from events.guarantees import Guarantee
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from simulator.audit_run import audit_namespace
from simulator.broker.embedded import EmbeddedBroker
from simulator.history import KINDS
from simulator.scenario.models import Load
from simulator.workload.kafka_door import KafkaDoor
from simulator.workload.kafka_load import KafkaLoad
from simulator.workload.load import now_ms
from simulator.workload.plan import plan_purchases
from simulator.workload.summary import load_summary
from tests.support.services import service
from tests.support.wait import wait_until

PARTITIONS = 2
MERCHANTS = ("merchant_1", "merchant_2", "merchant_3")


def planned(rate: float, seconds: int, **mix: Any) -> Load:
    return Load.model_validate({"stages": [{"for": f"{seconds}s", "rate": rate}], "via": "kafka", **mix})


def written(history: list[Any]) -> Callable[[Sequence[str]], None]:
    """What a history's writer does with lines, but into this list."""

    def write(lines: Sequence[str]) -> None:
        assert all(line.endswith("\n") for line in lines)
        history.extend(orjson.loads(line) for line in lines)
        assert {line["kind"] for line in history} <= KINDS

    return write


@pytest.fixture
async def door(kafka: EmbeddedBroker, namespace: str) -> AsyncIterator[KafkaDoor]:
    log = await KafkaLog.connect(connection(kafka.bootstrap_servers), client_id="test")
    await log.ensure_topics(namespace, PARTITIONS)
    await log.close()
    async with KafkaDoor(connection(kafka.bootstrap_servers), namespace, PARTITIONS, "load-of-a-test") as opened:
        yield opened


async def test_the_auditor_judges_it_as_it_does_http(
    kafka: EmbeddedBroker, namespace: str, door: KafkaDoor, tmp_path: Path
) -> None:
    """Whole purchases, double clicks and lost connections: every one is answered, retries are replays, all is valid."""
    load = planned(100.0, 2)
    history: list[Any] = [
        {"kind": "run", "guarantee": "exactly-once", "namespace": namespace, "started_at": now_ms()},
    ]
    environment = {
        "PAYONCE_KAFKA": kafka.bootstrap_servers,
        "PAYONCE_NAMESPACE": namespace,
        "PAYONCE_PARTITIONS": str(PARTITIONS),
    }
    with service("processor", tmp_path / "processor", environment):
        customers = KafkaLoad(3, door, written(history))
        await customers.run(plan_purchases(3, load, MERCHANTS), grace_s=30.0)
        report = await audit_namespace(
            connection(kafka.bootstrap_servers), namespace, history=history, guarantee=Guarantee.EXACTLY_ONCE
        )
    summary = load_summary(customers.tally)
    assert report.verdict.value == "valid", report.to_json()
    assert summary["answered"] == summary["intents"] == report.counts.intents
    assert summary["attempts"] - summary["outcomes"].get("fail", 0) == report.counts.commands > summary["intents"]
    kinds = Counter(line["kind"] for line in history)
    assert kinds["invoke"] == kinds["ok"] + kinds["info"] + kinds["fail"] == summary["attempts"]
    assert {"fresh", "replay", "402", "abandoned"} <= set(summary["latency_ms_by_outcome"])
    assert summary["service_ms_by_outcome"]["fresh"]["p50"] <= summary["latency_ms_by_outcome"]["fresh"]["p50"]
    operations = {line["operation"] for line in history if line["kind"] == "intent"}
    assert {"charge.create", "charge.capture", "refund.create"} <= operations


async def test_without_a_processor_everybody_is_sent_away_in_the_end(door: KafkaDoor) -> None:
    """Nobody answers: the run ends when its grace is over, and says of every attempt that nobody knows."""
    history: list[Any] = []
    customers = KafkaLoad(3, door, written(history))
    began = time.monotonic()
    await customers.run(plan_purchases(3, planned(50.0, 1), MERCHANTS), grace_s=1.0)
    assert time.monotonic() - began < 10.0
    ends = [line for line in history if line["kind"] in ("ok", "fail", "info")]
    assert len(ends) == sum(line["kind"] == "invoke" for line in history) == customers.tally.attempts > 0
    assert {line["kind"] for line in ends} == {"info"}
    assert customers.tally.settled == 0


async def test_an_attempt_is_on_file_before_its_command_is_on_the_log(door: KafkaDoor) -> None:
    """When a command leaves, the history has its line already."""
    history: list[Any] = []
    left: list[tuple[str, bool]] = []
    send = door.send

    def watched(partition: int, letter: Any) -> None:
        command_id = letter.command_id.decode()
        left.append((command_id, any(line.get("command_id") == command_id for line in history)))
        send(partition, letter)

    door.send = watched  # type: ignore[method-assign]
    await KafkaLoad(3, door, written(history)).run(plan_purchases(3, planned(40.0, 1), MERCHANTS), grace_s=0.1)
    assert left
    assert all(on_file for _, on_file in left)


@pytest.mark.parametrize("reply", [b"nonsense", b"[]", b'{"status":"201","replayed":false,"body":"{}"}', None])
async def test_a_reply_that_nobody_can_read_is_no_answer(
    kafka: EmbeddedBroker, namespace: str, door: KafkaDoor, reply: bytes | None
) -> None:
    """Whoever writes the replies, the customers go on: nobody knows what became of their commands."""
    history: list[Any] = []
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    await producer.start()
    send, answering = door.send, set()

    def answered(partition: int, letter: Any) -> None:
        send(partition, letter)
        answer = producer.send_and_wait(topic_name(namespace, "replies"), reply, letter.command_id, partition)
        answering.add(asyncio.create_task(answer))

    door.send = answered  # type: ignore[method-assign]
    await KafkaLoad(3, door, written(history)).run(plan_purchases(3, planned(20.0, 1), MERCHANTS), grace_s=2.0)
    await asyncio.gather(*answering)
    await producer.stop()
    assert "the reply could not be read" in {line.get("reason") for line in history}
    assert not any(line["kind"] == "ok" for line in history)


async def test_it_ends_at_once_when_it_is_cancelled(door: KafkaDoor) -> None:
    """A run that is stopped writes down what became of everybody, and returns."""
    history: list[Any] = []
    customers = KafkaLoad(3, door, written(history))
    running = asyncio.create_task(customers.run(plan_purchases(3, planned(50.0, 60), MERCHANTS), grace_s=30.0))

    async def has_begun() -> bool:
        return customers.tally.attempts > 10

    await wait_until(has_begun, timeout_s=20, message="nobody ever came")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert opened_and_ended(history)


def opened_and_ended(history: Sequence[Any]) -> bool:
    kinds = Counter(line["kind"] for line in history)
    return kinds["invoke"] == kinds["ok"] + kinds["info"] + kinds["fail"] > 0
