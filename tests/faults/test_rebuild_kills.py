"""A processor killed while it makes its store again from the log: what the store then says it has, it has."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from benchmarks.large_log import portions
from events.connection import connection
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import TopicPartition
from services.processor.domain.stored import of_events, of_records
from services.processor.store.port import Reach
from services.processor.store.rocks import RocksStore
from simulator.broker.embedded import EmbeddedBroker
from tests.support.services import ServiceProcess, service
from tests.support.wait import wait_until_sync

PARTITIONS = 2
PAIRS = 60_000  # about six of RocksDB's write buffers
LONGEST_S = 60.0


@pytest.fixture
async def log(kafka: EmbeddedBroker) -> AsyncIterator[KafkaLog]:
    made = await KafkaLog.connect(connection(kafka.bootstrap_servers), client_id="rebuild")
    yield made
    await made.close()


def files(folder: Path) -> int:
    return len(list(folder.glob("keys.rocksdb/*.sst")))


def restored_records(process: ServiceProcess) -> int:
    return sum(int(one["records"]) for one in process.logged("partitions_restored"))


async def test_a_rebuild_killed_in_its_middle_goes_on_where_its_store_is_right(
    kafka: EmbeddedBroker, namespace: str, log: KafkaLog, tmp_path: Path
) -> None:
    """The next one reads only the rest, and then holds what the log says.

    Killed when the third file is begun, so that the second is whole; the first says only which log it is.
    """
    await log.ensure_topics(namespace, PARTITIONS)
    now_ms = time.time_ns() // 1_000_000
    writer = await log.plain_writer()
    expected: dict[int, dict[bytes, bytes | None]] = {one: {} for one in range(PARTITIONS)}
    ends: dict[TopicPartition, int] = {}
    for loads in portions(namespace, PARTITIONS, PAIRS, now_ms - 1_000, now_ms, 86_400_000):
        for where, base in (await writer.produce(loads)).items():
            ends[where] = base + len(loads[where])
            records = [_AsRead(one.key, one.value) for one in loads[where]]
            of_topic = of_records(records) if where.topic.endswith(".keys") else of_events(records, once=True)
            expected[where.partition] |= of_topic
    await writer.close()
    environment = {
        "PAYONCE_KAFKA": kafka.bootstrap_servers,
        "PAYONCE_NAMESPACE": namespace,
        "PAYONCE_PARTITIONS": str(PARTITIONS),
    }
    folder = tmp_path / "p"
    with service("processor", folder, environment, ready=False) as process:
        wait_until_sync(lambda: files(folder) > 2, timeout_s=LONGEST_S, message=lambda: f"nothing:\n{process.log()}")
        process.kill()
        assert not process.logged("ready"), "it was through before it was killed: take more pairs"
    store = RocksStore(folder / "keys.rocksdb")
    left = sum(ends.values())
    for partition in range(PARTITIONS):
        reach = store.reach(partition)
        left -= reach.keys + reach.charges
        assert_copy(store, partition, expected[partition], reach)
    store.close()
    assert left < sum(ends.values()), "nothing of it was kept"
    with service("processor", folder, environment) as process:
        assert restored_records(process) == left
        process.stop()
    store = RocksStore(folder / "keys.rocksdb")
    for partition, writes in expected.items():
        assert store.get(partition, list(writes)) == writes
    store.close()


def assert_copy(store: RocksStore, partition: int, writes: dict[bytes, bytes | None], reach: Reach) -> None:
    """Of keys and of charges exactly the first so many are there, as many as the reach says."""
    found = store.get(partition, list(writes))
    for kind, at in ((b"k", reach.keys), (b"c", reach.charges)):
        names = [one for one in writes if one.startswith(kind)]
        assert [one for one in names if one in found] == names[:at], kind
    assert all(writes[key] == value for key, value in found.items())


class _AsRead:
    offset, timestamp, headers = 0, 0, ()

    def __init__(self, key: bytes | None, value: bytes | None) -> None:
        self.key, self.value = key, value
