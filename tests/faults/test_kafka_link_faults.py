"""Every fault between services and Kafka bites on a real Kafka and real processors, and nobody is charged twice.

One run under exactly-once on one stack: the faults come one after the other, customers all the while. What each of them
did is shown by the proxy that carried it out, and by what the broker answered.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from simulator.audit.report import Verdict
from simulator.failure import UsageFailure
from simulator.faults import FAULTS
from simulator.run import RunOptions, RunResult, run_once
from simulator.scenario.reading import read_text
from simulator.stack_options import StackOptions
from tests.faults.test_faults import Said

SCENARIO = """
name: broken-wires
load:
  stages: [{for: 44s, rate: 25}]
faults:
  - {fault: slow_broker_link, at: [1s], lasts: 1500ms}
  - {fault: lose_produce_answer, at: [3s], lasts: 1500ms}
  - {fault: lose_offset_commit_answer, at: [5s], lasts: 1500ms}
  - {fault: lose_end_txn_answer, at: [7s], lasts: 1500ms}
  - {fault: late_end_txn, at: [9s]}
  - {fault: reset_broker_link, at: [12s], times: 2}
  - {fault: narrow_broker_link, at: [13s], lasts: 1500ms, bytes_per_s: 40000}
  - {fault: silent_broker_link, at: [15s], lasts: 1s}
  - {fault: isolate_processor, at: [17s]}
  - {fault: delay_fetch, at: [29s], lasts: 1500ms}
  - {fault: kill_at_moment, at: [31s], moment: after_append}
  - {fault: kill_at_moment, at: [34s], moment: before_commit}
  - {fault: kill_at_moment, at: [37s], moment: after_commit}
  - {fault: kill_at_moment, at: [40s], moment: during_take_over}
"""
STALE = {"invalid_producer_epoch", "producer_fenced", "invalid_txn_state"}


class Done(NamedTuple):
    result: RunResult
    hits: dict[str, list[dict[str, Any]]]
    ends: list[dict[str, Any]]
    said: list[str]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    directory: Path = tmp_path_factory.mktemp("broken-wires")
    stack = StackOptions(dir=directory, processors=2, gateways=2)
    said = Said()
    scenario = read_text(SCENARIO, "broken-wires.yaml")
    result = asyncio.run(run_once(RunOptions(stack, 5, scenario), said, asyncio.Event()))
    lines = (directory / "history.jsonl").read_text(encoding="utf-8").splitlines()
    faults = [line for line in map(json.loads, lines) if line["kind"] == "fault"]
    hits: dict[str, list[dict[str, Any]]] = {name: [] for name in result.summary["run"]["faults"]}
    for line in faults:
        if line["phase"] == "hit":
            hits[line["fault"]].append(line["detail"])
    print("\n".join(said.lines))
    return Done(result, hits, [line for line in faults if line["phase"] == "end"], said.lines)


@pytest.mark.timeout(150)
def test_nobody_is_charged_twice(done: Done) -> None:
    """Exactly once through all of them; everything settles, and customers were answered."""
    report = done.result.report
    assert report.verdict is Verdict.VALID, (report.unknown, report.anomalies, done.ends)
    assert done.result.summary["unsettled"] == []
    assert done.result.summary["load"]["answered"] > 0.97 * done.result.summary["load"]["intents"]


def test_each_of_them_is_tried(done: Done) -> None:
    """Whatever is added between services and Kafka is added here."""
    needing = {fault.model_fields["fault"].default for fault in FAULTS if fault.needs == "kafka_link"}
    assert set(done.hits) == needing


@pytest.mark.parametrize("name", ["slow_broker_link", "narrow_broker_link", "silent_broker_link"])
def test_a_bad_wire_is_everybodys(done: Done, name: str) -> None:
    """Gateways, processors and the ledger all came through it."""
    (hit,) = done.hits[name]
    assert hit["clients"] > 4
    assert hit["bytes"] > 1_000


@pytest.mark.parametrize(
    ("name", "request_name"),
    [
        ("lose_produce_answer", "Produce"),
        ("lose_offset_commit_answer", "TxnOffsetCommit"),
        ("lose_end_txn_answer", "EndTxn"),
    ],
)
def test_answers_are_lost(done: Done, name: str, request_name: str) -> None:
    """To the very request that the fault is about, which the broker had answered."""
    assert {hit["request"] for hit in done.hits[name]} == {request_name}


def test_a_late_end_is_refused(done: Done) -> None:
    """By the broker, while the next transaction of the same writer was open."""
    (hit,) = done.hits["late_end_txn"]
    assert hit["late_end_txn"] == "refused"
    assert hit["error"] in STALE
    assert f"1 late EndTxn refused: {hit['error']}" in done.said


def test_every_connection_is_reset(done: Done) -> None:
    """And everybody comes again, so that the second time breaks as many clients' connections."""
    first, second = done.hits["reset_broker_link"]
    assert first["connections"] >= first["clients"] > 6
    assert second["clients"] > 6


def test_a_processor_that_was_cut_off_is_a_zombie(done: Done) -> None:
    """Another took over, what it had open was aborted, its end was refused, and it is a member again."""
    (hit,) = done.hits["isolate_processor"]
    assert 1 < hit["taken_over_after_s"] < 20
    assert hit["rejoined"] == 1
    assert hit["late_end_txn"] == "refused"
    assert hit["error"] in STALE
    assert sum(done.result.report.counts.aborted_records.values()) >= hit["aborted_records"] > 0


def test_fetches_are_late(done: Done) -> None:
    """Those of the processors' readers."""
    (hit,) = done.hits["delay_fetch"]
    assert hit["answers"] > 0


def test_a_processor_dies_at_each_moment_of_its_protocol(done: Done) -> None:
    """The proxy held it there; the client that died is the one whose request was seen."""
    hits = done.hits["kill_at_moment"]
    assert [hit["moment"] for hit in hits] == ["after_append", "before_commit", "after_commit", "during_take_over"]
    assert all(hit["client"].startswith("payonce-processor-") for hit in hits)
    assert len({hit["pid"] for hit in hits}) == len(hits)


@pytest.mark.parametrize(("option", "target"), [("--kafka 127.0.0.1:1", None), ("--target", "stack.json")])
async def test_somebody_elses_kafka_is_left_alone(tmp_path: Path, option: str, target: str | None) -> None:
    """Refused in one sentence, before anything is started."""
    kafka = option.removeprefix("--kafka ") if target is None else "embedded"
    options = RunOptions(
        StackOptions(dir=tmp_path, kafka=kafka),
        1,
        read_text(SCENARIO, "broken-wires.yaml"),
        None if target is None else tmp_path / target,
    )
    with pytest.raises(UsageFailure, match=f"cannot be done on somebody else's Kafka: run it without {option}"):
        await run_once(options, Said(), asyncio.Event())
