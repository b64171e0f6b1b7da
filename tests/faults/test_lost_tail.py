"""A processor killed before its store was flushed: what the store lost is read again from the log."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from events.connection import connection
from services.processor.domain.stored import of_key
from services.processor.store.port import Reach
from services.processor.store.rocks import RocksStore
from simulator.broker.embedded import EmbeddedBroker
from tests.support.commands import command
from tests.support.processor_worlds import KafkaWorld
from tests.support.services import ServiceProcess, service

WRITTEN_OUT, LOST = 300, 700


@pytest.fixture
async def world(kafka: EmbeddedBroker, namespace: str) -> AsyncIterator[KafkaWorld]:
    made = KafkaWorld(namespace, 1, connection(kafka.bootstrap_servers))
    yield made
    await made.close()


def reach_of(folder: Path, key: str) -> tuple[Reach, bool]:
    """How far the store of a processor that has ended goes, and whether it knows the key."""
    store = RocksStore(folder / "keys.rocksdb")
    found = store.reach(0), bool(store.get(0, [of_key(f"shop/{key}".encode())]))
    store.close()
    return found


def restored_records(process: ServiceProcess) -> int:
    return sum(int(one["records"]) for one in process.logged("partitions_restored"))


async def test_what_a_killed_store_lost_is_read_again(
    kafka: EmbeddedBroker, namespace: str, world: KafkaWorld, tmp_path: Path
) -> None:
    """Its store is then at an older point; the next one reads the rest, executes nothing twice and answers the same."""
    environment = {
        "PAYONCE_KAFKA": kafka.bootstrap_servers,
        "PAYONCE_NAMESPACE": namespace,
        "PAYONCE_PARTITIONS": "1",
    }
    everything = [f"order-{number}" for number in range(WRITTEN_OUT + LOST)]
    with service("processor", tmp_path / "p", environment) as stopped:
        await world.append(*(command("shop", key) for key in everything[:WRITTEN_OUT]))
        await world.replies(WRITTEN_OUT)
        stopped.stop()
    flushed, _ = reach_of(tmp_path / "p", "order-0")
    with service("processor", tmp_path / "p", environment) as killed:
        await world.append(*(command("shop", key) for key in everything[WRITTEN_OUT:]))
        await world.replies(len(everything))
        killed.kill()
    assert reach_of(tmp_path / "p", everything[-1]) == (flushed, False), "nothing was lost"
    with service("processor", tmp_path / "p", environment) as again:
        read_again = restored_records(again)
        assert 2 * LOST < read_again < 3 * LOST  # a key record and an event each, and some positions
        await world.append(*(command("shop", key) for key in everything))
        await world.replies(2 * len(everything))
        again.kill()
    assert len(await world.charges()) == len(everything)
    answers: dict[str, set[tuple[int, str]]] = {}
    for reply in [one.value for one in await world.read("replies")]:
        answers.setdefault(reply["idempotency_key"], set()).add((reply["status"], reply["body"]))
    assert {len(some) for some in answers.values()} == {1}, "a replay had another answer"
