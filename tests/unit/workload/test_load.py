"""The load against a real server of a few lines: it keeps its plan, measures from it, and watches itself."""

import asyncio
import time
from typing import Any

import pytest

from simulator.audit.clients import fold
from simulator.workload.load import CUSTOMERS_MAX, Door, Load, customers_max
from simulator.workload.outcomes import outcome_of
from simulator.workload.plan import Purchase
from simulator.workload.strain import Strain
from simulator.workload.summary import doubts, load_summary
from simulator.workload.tally import Tally
from tests.support.answering import Head, customers, gateway


async def run(purchases: list[Purchase], head: Head, warm_up_s: float = 0.0) -> tuple[Tally, list[dict[str, Any]]]:
    history: list[dict[str, Any]] = []
    async with gateway(head) as url:
        load = Load(1, [Door.at("gateway 0", url)], {"shop": "key"}, history.append, warm_up_s)
        await load.run(purchases, grace_s=10.0)
    return load.tally, history


async def test_customers_come_when_planned_though_the_system_stands_still() -> None:
    """Nobody waits for anybody else's answer: forty come within 0.4 s while each answer takes half a second."""
    tally, history = await run(customers(40, 10.0), lambda _: (201, 0.5))
    invoked = [line["at"] for line in history if line["kind"] == "invoke"]
    answered = [line["at"] for line in history if line["kind"] == "ok"]
    assert len(invoked) == len(answered) == 40
    assert sum(at < answered[0] for at in invoked) == 40
    assert tally.settled == tally.begun == 40


async def test_a_customer_who_begins_late_is_measured_from_the_plan() -> None:
    """Our own loop stands still for 0.3 s: the latency has it, the service time does not, and it is told."""
    seen: list[float] = []

    def head(_: int) -> tuple[int, float]:
        if not seen:
            seen.append(time.monotonic())
            time.sleep(0.3)  # the load generator's own loop is what stands still here
        return 201, 0.0

    tally, _ = await run(customers(10, 20.0), head)
    summary = load_summary(tally)
    assert summary["latency_ms_by_outcome"]["fresh"]["max"] >= 250.0
    assert summary["service_ms_by_outcome"]["fresh"]["p50"] < 100.0 < summary["latency_ms_by_outcome"]["fresh"]["p50"]
    assert summary["arrivals"]["late"] >= 8
    assert summary["arrivals"]["lateness_ms"]["max"] >= 200.0
    assert not summary["generator"]["kept_up"]
    (doubt,) = doubts(summary)
    assert doubt.startswith("The load generator itself was too slow (one customer in a hundred began")


@pytest.mark.parametrize(
    ("lag_ms", "late_ms", "cpu_shares", "reasons"),
    [
        (5.0, 5.0, [0.5] * 10, []),
        (80.0, 5.0, [0.5] * 10, ["the event loop was 80 ms behind"]),
        (5.0, 80.0, [0.5] * 10, ["one customer in a hundred began 80 ms or more"]),
        (5.0, 5.0, [0.95, 0.95, *[0.5] * 8], ["the load process used a whole core in 20% of all seconds"]),
        (5.0, 5.0, [0.95, *[0.5] * 9], []),
    ],
)
def test_the_generator_is_blamed_for_nothing_but_its_own(
    lag_ms: float, late_ms: float, cpu_shares: list[float], reasons: list[str]
) -> None:
    """Lag, lateness and a full core are its own; that every answer took three seconds is not."""
    tally = Tally(strain=Strain(cpu_shares=cpu_shares))
    for number in range(100):
        tally.arrive(number + late_ms / 1_000.0, float(number))
        tally.attempt(number + 3.0, "fresh", float(number), float(number))
        tally.strain.lag.record(float(number), "lag", lag_ms / 1_000.0)
    tally.latencies.finish()
    tally.strain.lag.finish()
    summary = load_summary(tally)
    assert summary["generator"]["kept_up"] == (not reasons)
    assert all(reason in summary["generator"]["says"] for reason in reasons)
    assert len(doubts(summary)) == bool(reasons)


async def test_the_warm_up_is_in_the_history_and_not_in_the_figures() -> None:
    """What was planned for the first 0.2 s is slow here, and nobody measures it."""
    tally, history = await run(customers(40, 10.0), lambda n: (201, 2.0 if n <= 20 else 0.0), warm_up_s=0.195)
    summary = load_summary(tally)
    assert summary["answered"] == 40 == sum(line["kind"] == "ok" for line in history)
    assert summary["latency_ms_by_outcome"]["fresh"]["count"] == 20
    assert summary["latency_ms"]["max"] < 2_000.0


async def test_latencies_are_split_by_what_came_of_the_request() -> None:
    """A decline, a conflict that is retried, an answer and a 503 are told apart."""
    statuses = {1: 402, 2: 409, 3: 422, 4: 503}
    tally, history = await run(customers(4, 30.0), lambda n: (statuses.get(n, 201), 0.0))
    summary = load_summary(tally)
    counts = {name: figures["count"] for name, figures in summary["latency_ms_by_outcome"].items()}
    assert counts == {"402": 1, "409": 1, "422": 1, "503": 1, "fresh": 1}
    assert summary["latency_ms"]["p50"] is not None
    assert len(fold(history).intents) == 4


async def test_nobody_there_is_told_apart_from_no_answer() -> None:
    """A refused connection is not sent; a customer who goes away by plan has abandoned, whoever is slow."""
    load = Load(1, [Door.at("gateway 0", "http://127.0.0.1:1")], {"shop": "key"}, lambda _: None)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await load.run(customers(1, 1.0), grace_s=10.0)
    assert set(load_summary(load.tally)["latency_ms_by_outcome"]) == {"not_sent"}
    tally, _ = await run(customers(3, 10.0, "lost_connection"), lambda n: (201, 0.2 if n <= 3 else 0.0))
    assert load_summary(tally)["latency_ms_by_outcome"]["abandoned"]["count"] >= 3


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ({"kind": "ok", "status": 201}, "fresh"),
        ({"kind": "ok", "status": 402, "replayed": True}, "replay"),
        ({"kind": "ok", "status": 402}, "402"),
        ({"kind": "ok", "status": 404}, "other"),
        ({"kind": "fail", "status": 503}, "503"),
        ({"kind": "fail"}, "not_sent"),
        ({"kind": "info", "status": 504}, "unknown"),
        ({"kind": "info", "abandoned": True}, "abandoned"),
    ],
)
def test_every_end_of_an_attempt_has_an_outcome(end: dict[str, Any], outcome: str) -> None:
    """A replay is a replay whatever its status; what nobody knows is unknown whatever the reason."""
    assert outcome_of(**end) == outcome


def test_what_several_processes_counted_adds_up() -> None:
    """A tally survives JSON, and two of them are one of both."""
    tallies = []
    for first in (1.0, 2.0):
        tally = Tally(began=1.0, planned=3, strain=Strain(cpu_shares=[0.5, 0.97]))
        tally.arrive(first, first)
        tally.attempt(first + 0.2, "fresh", first, first + 0.1)
        tally.settle(first + 0.2, first)
        tally.outcomes["ok"] += 1
        tally.statuses[201] += 1
        tally.latencies.finish()
        tallies.append(Tally.from_json(tally.to_json()))
    one, other = tallies
    one.add(other)
    summary = load_summary(one)
    assert (summary["purchases_planned"], summary["answered"], summary["statuses"]) == (6, 2, {"201": 2})
    assert summary["latency_ms_by_outcome"]["fresh"]["count"] == 2
    assert summary["service_ms_by_outcome"]["fresh"]["max"] == pytest.approx(100.0, rel=1e-3)
    assert summary["throughput_per_s"] == pytest.approx(2 / 1.2, abs=0.1)
    assert "used a whole core in 50% of all seconds" in summary["generator"]["says"]


@pytest.mark.parametrize(
    ("open_files", "most"), [(-1, CUSTOMERS_MAX), (1_048_576, CUSTOMERS_MAX), (20_000, 5_000), (1_024, 256)]
)
def test_as_many_may_wait_as_descriptors_allow(open_files: int, most: int) -> None:
    """A quarter of the open files that the kernel allows, and no more than memory is meant to hold."""
    assert customers_max(open_files) == most


async def test_ten_seconds_without_an_answer_drop_nobody() -> None:
    """As many as come in ten seconds at 300 a second find a system that stands still: all are answered."""
    over_at = time.monotonic() + 3.0
    tally, _ = await run(customers(3_000, 0.7), lambda _: (201, max(0.0, over_at - time.monotonic())))
    assert (tally.dropped, tally.begun, tally.settled) == (0, 3_000, 3_000)


async def test_whoever_is_too_many_is_dropped_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for ten, thirty of forty find them waiting still, and do not come."""
    monkeypatch.setattr("simulator.workload.load.customers_max", lambda _: 10)
    tally, _ = await run(customers(40, 1.0), lambda _: (201, 0.5))
    summary = load_summary(tally)
    assert (tally.dropped, tally.settled, summary["purchases_dropped"]) == (30, 10, 30)
    assert any(doubt.startswith("30 of 40 customers found too many others") for doubt in doubts(summary))
