"""Every fault of the HTTP link on a real stack: each bites, and only a copy past its key's life charges again."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from simulator.audit.report import Verdict
from simulator.broker.embedded import EmbeddedBroker
from simulator.run import RunOptions, RunResult, run_once
from simulator.scenario.reading import read_text
from simulator.stack_options import StackOptions

# All at once, and one after the other: they disturb nobody, each other neither.
EVERYTHING = """
name: every-link-fault
load:
  stages: [{for: 5500ms, rate: 40}]
  personas: {careful: 60, double_clicker: 20, lost_connection: 20}
faults:
  - {fault: deliver_twice, at: [500ms], lasts: 3s, share: 0.2}
  - {fault: deliver_late, at: [500ms], lasts: 1500ms, share: 0.2, delay: 2s}
  - {fault: lose_request, at: [1s], lasts: 1s}
  - {fault: lose_response, at: [1s], lasts: 2s}
  - {fault: slow_close, at: [1s], lasts: 4s, delay: 1s}
  - {fault: black_hole, at: [1500ms], lasts: 700ms}
  - {fault: reset_mid_body, at: [2s], lasts: 2s, share: 0.1}
  - {fault: slow_link, at: [2500ms], lasts: 2s, latency: 100ms}
  - {fault: narrow_link, at: [3s], lasts: 2s, bytes_per_s: 4000}
"""
# The keys are forgotten when the copies come. Nothing else goes wrong, so that nobody asks again after that time.
LATE = """
name: late-copies
system: {key_ttl: 2s}
load:
  stages: [{for: 1500ms, rate: 25}]
  personas: {careful: 1}
  journeys: {pay: 1}
faults:
  - {fault: deliver_late, at: [200ms], lasts: 1500ms, share: 0.2, delay: 3500ms}
"""


class Said:
    """What the run says, kept for whoever has to find out why a test failed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, sentence: str) -> None:
        self.lines.append(sentence)

    def line(self, sentence: str) -> None:
        self.lines.append(sentence)


async def run(
    scenario_text: str, directory: Path, kafka: EmbeddedBroker, namespace: str
) -> tuple[RunResult, list[dict[str, Any]]]:
    """The run, and the details of every hit of its faults."""
    scenario = read_text(scenario_text, "link.yaml")
    stack = StackOptions(
        dir=directory,
        kafka=kafka.bootstrap_servers,
        namespace=namespace,
        gateways=2,
        key_ttl=scenario.system.key_ttl or "24h",
    )
    said = Said()
    result = await run_once(RunOptions(stack, 3, scenario), said, asyncio.Event())
    print("\n".join(said.lines))
    history = [json.loads(line) for line in (directory / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return result, [line for line in history if line["kind"] == "fault" and line["phase"] == "hit"]


@pytest.mark.timeout(120)
async def test_each_of_them_bites_and_nobody_is_charged_twice(
    tmp_path: Path, kafka: EmbeddedBroker, namespace: str
) -> None:
    """All of them within six seconds, many at the same time: exactly once holds, and every hit says what it hit."""
    result, hits = await run(EVERYTHING, tmp_path, kafka, namespace)
    faults = result.summary["faults"]
    assert not [name for name, counts in faults.items() if not counts["bitten"]], faults
    assert len(faults) == 9
    assert all(hit["detail"]["gateway"] in ("gateway 0", "gateway 1") for hit in hits)
    copies = [hit["detail"] for hit in hits if hit["fault"] in ("deliver_twice", "deliver_late")]
    charged = [copy for copy in copies if copy["request"] == "POST /v1/charges" and copy["status"] == 201]
    assert charged
    assert all(copy["intent"] and copy["made"].startswith("ch_") for copy in charged)
    assert result.report.verdict is Verdict.VALID, (result.report.unknown, result.report.anomalies)


@pytest.mark.timeout(120)
async def test_a_copy_past_its_keys_life_charges_again_and_the_history_says_so(
    tmp_path: Path, kafka: EmbeddedBroker, namespace: str
) -> None:
    """By the contract it is a new request; each such charge is found, and is one that a hit had told of."""
    result, hits = await run(LATE, tmp_path, kafka, namespace)
    late = [hit["detail"] for hit in hits]
    again = [copy for copy in late if copy["status"] == 201 and not copy["replayed"]]
    assert again, late
    assert all(copy["sent_at"] - copy["passed_at"] >= 3_500 for copy in late), late
    found = [anomaly for anomaly in result.report.anomalies if anomaly.name == "duplicate_charge"]
    assert sum(anomaly.count for anomaly in found) == len(again), found
    intents = {copy["intent"] for copy in again}
    assert {witness.subject for anomaly in found for witness in anomaly.witnesses} <= intents
    assert len(intents) == len({copy["made"] for copy in again}) == len(again)
