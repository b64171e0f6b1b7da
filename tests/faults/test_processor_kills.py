"""Processors and brokers killed and stopped, as real processes on a real Kafka: how soon answers come again."""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.connection import connection
from simulator.broker.embedded import EmbeddedBroker
from tests.support.brokers import own_broker
from tests.support.commands import command, merchant_of
from tests.support.processor_worlds import KafkaWorld
from tests.support.services import ServiceProcess, service
from tests.support.wait import wait_until

PARTITIONS = 2
RESTARTED_WITHIN_S = 3.0
TAKEN_OVER_WITHIN_S = 12.0
BROKER_BACK_WITHIN_S = 8.0


@pytest.fixture
async def world(kafka: EmbeddedBroker, namespace: str) -> AsyncIterator[KafkaWorld]:
    made = KafkaWorld(namespace, PARTITIONS, connection(kafka.bootstrap_servers))
    yield made
    await made.close()


def environment(broker: EmbeddedBroker, namespace: str) -> dict[str, str]:
    return {
        "PAYONCE_KAFKA": broker.bootstrap_servers,
        "PAYONCE_NAMESPACE": namespace,
        "PAYONCE_PARTITIONS": str(PARTITIONS),
    }


async def answered(world: KafkaWorld, key: str) -> float:
    """Pay once in every partition; the seconds until all are answered."""
    began = time.monotonic()
    await world.append(*(command(merchant_of(one, PARTITIONS), key) for one in range(PARTITIONS)))

    async def all_of_them() -> bool:
        return len([one for one in await world.read("replies") if one.value["idempotency_key"] == key]) >= PARTITIONS

    await wait_until(all_of_them, timeout_s=30, message=f"no answers under {key}")
    return time.monotonic() - began


async def flood(world: KafkaWorld, name: str, count: int = 3_000) -> None:
    """More than one transaction's worth, so that a kill soon after is a kill in mid-transaction."""
    merchants = [merchant_of(one, PARTITIONS) for one in range(PARTITIONS)]
    await world.append(*(command(merchants[one % PARTITIONS], f"{name}-{one}") for one in range(count)))


async def assert_once(world: KafkaWorld) -> None:
    """One charge for each key, and one answer for each command."""
    charged = [one["idempotency_key"] + one["merchant_id"] for one in await world.charges()]
    assert len(charged) == len(set(charged)), "charged twice"
    commands = await world.read("commands")
    answers = {one.value["command_id"] for one in await world.read("replies")}
    assert {one.value["command_id"] for one in commands} == answers
    assert len(charged) == len(commands)


async def test_restarted_after_kills(kafka: EmbeddedBroker, namespace: str, world: KafkaWorld, tmp_path: Path) -> None:
    """Killed in mid-work and started again, its partitions answer within 3 s (median), and nothing is done twice."""
    took: list[float] = []
    for kill in range(3):
        with service("processor", tmp_path / "p", environment(kafka, namespace)) as processor:
            await flood(world, f"flood{kill}")
            processor.kill()
        began = time.monotonic()
        with service("processor", tmp_path / "p", environment(kafka, namespace)):
            await answered(world, f"after{kill}")
        took.append(time.monotonic() - began)
    await assert_once(world)
    assert statistics.median(took) < RESTARTED_WITHIN_S, f"answers after {took} s"


async def test_another_takes_over(kafka: EmbeddedBroker, namespace: str, world: KafkaWorld, tmp_path: Path) -> None:
    """Killed in mid-work and never back, its partitions are answered by another within 12 s."""
    with (
        service("processor", tmp_path / "p1", environment(kafka, namespace)) as first,
        service("processor", tmp_path / "p2", environment(kafka, namespace)),
    ):
        await answered(world, "before")
        await flood(world, "flood")
        first.kill()
        assert await answered(world, "after") < TAKEN_OVER_WITHIN_S
        await assert_once(world)


async def test_a_woken_zombie_harms_nothing(
    kafka: EmbeddedBroker, namespace: str, world: KafkaWorld, tmp_path: Path
) -> None:
    """Stopped for longer than its session and woken, a processor does nothing twice and serves again."""
    with (
        service("processor", tmp_path / "p1", environment(kafka, namespace)) as zombie,
        service("processor", tmp_path / "p2", environment(kafka, namespace)) as other,
    ):
        await answered(world, "before")
        await flood(world, "flood")
        os.kill(zombie.pid, signal.SIGSTOP)
        assert await answered(world, "while stopped") < TAKEN_OVER_WITHIN_S
        os.kill(zombie.pid, signal.SIGCONT)
        await answered(world, "woken")
        await shared_again(zombie, other)
        await answered(world, "shared")
        await assert_once(world)
        assert zombie.process.poll() is None


async def shared_again(*processors: ServiceProcess) -> None:
    """Wait until the newest assignment of both is of the same generation."""

    def same() -> bool:
        newest = [one.logged("partitions_assigned")[-1]["generation"] for one in processors]
        return len(set(newest)) == 1

    await wait_until(same, timeout_s=20, message="they are not in one generation")


async def test_the_broker_is_killed(namespace: str, tmp_path: Path) -> None:
    """After SIGKILL of the broker in mid-work answers come within 8 s of its return, each charge once."""
    with own_broker() as broker:
        world = KafkaWorld(namespace, PARTITIONS, connection(broker.bootstrap_servers))
        with service("processor", tmp_path / "p", environment(broker, namespace)) as processor:
            await answered(world, "before")
            await flood(world, "flood")
            broker.kill()
            began = time.monotonic()
            await asyncio.to_thread(broker.restart)
            await answered(world, "after")
            took = time.monotonic() - began
            await assert_once(world)
            assert processor.process.poll() is None
            assert processor.stop() == 0
        assert took < BROKER_BACK_WITHIN_S, f"answers after {took:.1f} s"


async def test_two_cannot_live_in_one_directory(kafka: EmbeddedBroker, namespace: str, tmp_path: Path) -> None:
    """A second processor in the same directory is refused in one sentence, exit code 2."""
    with service("processor", tmp_path / "p", environment(kafka, namespace)) as first:
        refused = ServiceProcess("processor", tmp_path / "p", environment(kafka, namespace))
        assert await asyncio.to_thread(refused.wait_exit) == 2
        assert first.process.poll() is None
