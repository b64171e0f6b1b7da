"""Every fault of processes and of redelivery bites on a real Kafka and real processes, and nobody is charged twice.

One run under exactly-once: the faults come one after the other, customers all the while.
"""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from simulator.audit.report import Verdict
from simulator.run import RunOptions, RunResult, run_once
from simulator.scenario.reading import read_text
from simulator.stack_options import StackOptions

# A key lives longer than any customer goes on trying (eight times, four seconds each): a retry that came after its
# key's life would be a new request, and charge again by right. So would a copy on the log that comes before its
# deadline, hence the short answer time-out, to which the gateway adds 60 s.
SCENARIO = """
name: every-fault
system: {key_ttl: 46s, answer_timeout: 2s}
load:
  stages: [{for: 70s, rate: 25}]
faults:
  - {fault: poison_commands, at: [2s]}
  - {fault: misrouted_commands, at: [3s]}
  - {fault: duplicate_commands, at: [4s]}
  - {fault: kill_gateway, at: [4s]}
  - {fault: kill_ledger, at: [4s]}
  - {fault: pause_ledger, at: [6s], lasts: 1s}
  - {fault: pause_gateway, at: [6s], lasts: 1s}
  - {fault: kill_broker, at: [7s]}
  - {fault: pause_broker, at: [15s], lasts: 1s}
  - {fault: pause_processor, at: [17s]}
  - {fault: rebalance_storm, at: [30s], times: 2}
  - {fault: rolling_restart, at: [36s]}
  - {fault: kill_processor, at: [44s]}
  - {fault: rewind_offsets, at: [50s]}
  - {fault: rewind_offsets, at: [56s], group: idle, older: 50s}
  - {fault: duplicate_commands, at: [68s], older: 64s}
"""


class Said:
    """What the run says, kept for whoever has to find out why a test failed."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def progress(self, sentence: str, view: object = None) -> None:
        self.lines.append(sentence)

    def line(self, sentence: str) -> None:
        self.lines.append(sentence)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, list[dict[str, Any]]]:
    directory: Path = tmp_path_factory.mktemp("every-fault")
    scenario = read_text(SCENARIO, "every-fault.yaml")
    stack = StackOptions(
        dir=directory,
        key_ttl=scenario.system.key_ttl,
        answer_timeout=scenario.system.answer_timeout,
        processors=2,
        gateways=2,
    )
    said = Said()
    result = asyncio.run(run_once(RunOptions(stack, 5, scenario), said, asyncio.Event()))
    lines = (directory / "history.jsonl").read_text(encoding="utf-8").splitlines()
    print("\n".join(said.lines))
    return result, [json.loads(line) for line in lines]


@pytest.mark.timeout(240)
def test_each_of_them_bites(run: tuple[RunResult, list[dict[str, Any]]]) -> None:
    """A fault that never bit would prove nothing; each tells what proves that it did."""
    result, history = run
    faults = result.summary["faults"]
    ends = [line for line in history if line["kind"] == "fault" and line["phase"] == "end"]
    assert not {name: ends for name, counts in faults.items() if not counts["bitten"]}, result.summary["faults"]
    assert all(line["detail"] for line in history if line["kind"] == "fault" and line["phase"] == "hit")


def test_nobody_is_charged_twice(run: tuple[RunResult, list[dict[str, Any]]]) -> None:
    """Exactly once, through all of them: the verdict is valid, and customers were answered."""
    result, _ = run
    assert result.report.verdict is Verdict.VALID, (result.report.unknown, result.report.anomalies)
    assert result.summary["load"]["answered"] > 0.99 * result.summary["load"]["intents"]


def test_the_log_shows_what_was_done_to_it(run: tuple[RunResult, list[dict[str, Any]]]) -> None:
    """Dead letters, redelivered commands, aborted transactions: counted from the history, found in the audit."""
    result, history = run
    hits = [line for line in history if line["kind"] == "fault" and line["phase"] == "hit"]
    dead = sum(line["detail"].get("dead_letters", 0) for line in hits)
    assert result.report.counts.dead_letters >= dead > 20  # a copied dead letter is one more
    zombies = [line["detail"] for line in hits if line["fault"] == "pause_processor"]
    assert zombies[0]["aborted_records"] > 0
    assert zombies[0]["refused_and_rejoined"] == 1
    assert sum(result.report.counts.aborted_records.values()) >= zombies[0]["aborted_records"]
    assert Counter(line["fault"] for line in hits)["rewind_offsets"] >= 2
