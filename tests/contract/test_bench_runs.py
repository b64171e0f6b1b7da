"""One run of `payonce bench`, on a real Kafka: what is measured, and what is not believed."""

from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from events.connection import connection
from events.guarantees import Guarantee
from simulator.bench.paced import run_paced
from simulator.bench.probe import Stretch
from simulator.bench.subjects import Ours, Place, SubjectFailed
from simulator.bench.throughput import Kafka, Run, run_preloaded
from simulator.bench.topics import feed
from simulator.broker.embedded import EmbeddedBroker
from simulator.workload.prepared import prepared_commands
from tests.support.bench_peer import BenchPeer

COMMANDS = 2_000
FEED = feed(prepared_commands(1, COMMANDS, merchants=50), 2)


async def run(kafka: EmbeddedBroker, namespace: str, folder: Path, subject: BenchPeer | Ours) -> Run:
    place = Place(kafka.bootstrap_servers, namespace, 2, folder / "run")
    return await run_preloaded(subject, 1, FEED, Kafka(connection(kafka.bootstrap_servers), kafka.pid), place)


async def topics_of(kafka: EmbeddedBroker, namespace: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        return [name for name in await admin.list_topics() if name.startswith(namespace)]
    finally:
        await admin.close()


@pytest.mark.parametrize("guarantee", [Guarantee.EXACTLY_ONCE, Guarantee.AT_MOST_ONCE])
async def test_ours_answers_everything_and_replays_what_it_looks_keys_up_for(
    kafka: EmbeddedBroker, namespace: str, tmp_path: Path, guarantee: Guarantee
) -> None:
    """The answers are counted on the log, the CPU is of the process and the broker; no topic is left behind."""
    found = await run(kafka, namespace, tmp_path, Ours(guarantee))
    assert (found.commands, found.statuses) == (COMMANDS, {"201": COMMANDS})
    assert found.replayed == (FEED.replays if guarantee.looks_at_keys else 0)
    assert found.steady_per_s > 0
    assert found.start_cpu_s > 0
    assert found.broker_cpu_us is not None
    assert found.curve[-1][1] == COMMANDS
    assert not await topics_of(kafka, namespace)


async def test_a_peer_is_measured_by_what_it_puts_on_the_log(
    kafka: EmbeddedBroker, namespace: str, tmp_path: Path
) -> None:
    """It answers without deduplication, without transactions, and is counted the same way."""
    found = await run(kafka, namespace, tmp_path, BenchPeer("once"))
    assert (found.commands, found.replayed) == (COMMANDS, 0)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("twice", rf"peer-twice gave {COMMANDS:,} answers that nobody had asked for"),
        ("dies", r"peer-dies ended with exit code 3: no more of this"),
    ],
)
async def test_a_run_that_did_something_else_is_no_figure(
    kafka: EmbeddedBroker, namespace: str, tmp_path: Path, mode: str, sentence: str
) -> None:
    """Told in one sentence; no topic is left behind then, either."""
    with pytest.raises(SubjectFailed, match=sentence):
        await run(kafka, namespace, tmp_path, BenchPeer(mode))
    assert not await topics_of(kafka, namespace)


async def test_latency_is_counted_from_the_planned_instant_of_every_command(
    kafka: EmbeddedBroker, namespace: str, tmp_path: Path
) -> None:
    """Two rates, each with a warm-up that is not counted."""
    place = Place(kafka.bootstrap_servers, namespace, 2, tmp_path / "run")
    where = Kafka(connection(kafka.bootstrap_servers), kafka.pid)
    warm_up, stretches = Stretch(50, 0, 0.5), [Stretch(50, 0.5, 1), Stretch(400, 0.5, 1)]
    slow, quick = await run_paced(
        Ours(Guarantee.EXACTLY_ONCE), 1, where, place, stretches, merchants=50, seed=1, warm_up=warm_up
    )
    assert (slow.rate, slow.commands, quick.rate, quick.commands) == (50, 50, 400, 400)
    for found in (slow, quick):
        assert 0 < found.p50_ms <= found.p99_ms <= found.max_ms
        assert found.subject_cpu_us > 0


async def test_a_subject_that_leaves_commands_unanswered_has_no_latency(
    kafka: EmbeddedBroker, namespace: str, tmp_path: Path
) -> None:
    """Else whoever drops the slow ones would be the quickest."""
    place = Place(kafka.bootstrap_servers, namespace, 2, tmp_path / "run")
    where = Kafka(connection(kafka.bootstrap_servers), kafka.pid)
    short = Stretch(20, 0, 0.5)
    with pytest.raises(SubjectFailed, match=r"peer-mute left 10 commands without an answer"):
        await run_paced(BenchPeer("mute"), 1, where, place, [short], merchants=5, seed=1, warm_up=short, drain_s=0.5)
