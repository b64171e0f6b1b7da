"""Other ways of load than the demo's, start to end: onto the log, from several processes, and in search of a limit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.wait import wait_until_sync

BOUND_S = 150.0


def simulate(directory: Path, *arguments: str, stop_after: str | None = None) -> tuple[int, dict[str, Any], str]:
    """On a scenario without faults and without thresholds: how fast this machine is decides nothing.

    Stopped once the history has `stop_after`.
    """
    scenario, history = directory / "plain.yaml", directory / "history.jsonl"
    scenario.write_text("name: plain\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
    running = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "simulator.cli",
            "simulate",
            str(scenario),
            *arguments,
            "--dir",
            str(directory),
            "--json",
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if stop_after is not None:
            wait_until_sync(
                lambda: history.exists() and stop_after in history.read_text(),
                timeout_s=90,
                message="it never came so far",
            )
            running.terminate()
        out, err = running.communicate(timeout=BOUND_S)
    finally:
        running.kill()
    return running.returncode, json.loads(out) if out else {}, err


@pytest.mark.timeout(200)
def test_commands_from_two_processes_onto_the_log_are_audited_as_one_run(tmp_path: Path) -> None:
    """Everybody is answered, the history has every command, and the log is valid."""
    code, report, err = simulate(
        tmp_path, "--via", "kafka", "--load-processes", "2", "--rate", "60", "--duration", "4s", "--seed", "7"
    )
    assert code == 0, err
    load, counts = report["load"], report["audit"]["counts"]
    assert report["audit"]["verdict"] == "valid"
    assert load["answered"] == load["intents"] == counts["intents"] > 100
    assert load["attempts"] - load["outcomes"].get("fail", 0) == counts["commands"]
    assert load["backlog"]["drained_s"] is not None
    assert (tmp_path / "latency.hlog").read_text().count("Tag=fresh,") >= 3


@pytest.mark.timeout(200)
def test_a_search_reports_every_step_and_is_audited_at_the_end(tmp_path: Path) -> None:
    """The answer held each time below what failed; the audit has the customers of all steps."""
    code, report, err = simulate(tmp_path, "--find-max", "throughput<30/s", "--rate", "10", "--duration", "1s")
    told = report["find_max"]
    assert code == (99 if told["rate_per_s"] is None else 0), err
    assert report["audit"]["verdict"] == "valid"
    for step in told["steps"]:
        assert step["held"] == (not step["why"])
        assert (step["value"] < 30.0) or not step["held"]
    held = [step["rate_per_s"] for step in told["steps"] if step["held"]]
    if told["rate_per_s"] is not None:
        assert held.count(told["rate_per_s"]) == len(told["values"])
        assert told["fails_at_per_s"] is None or told["rate_per_s"] < told["fails_at_per_s"]
    assert told["fails_at_per_s"] is not None  # twenty times as many customers would be more than 30/s
    assert f"step {len(told['steps'])}: " in err
    assert len(list((tmp_path / "find-max").glob("step-*/latency.hlog"))) == len(told["steps"])
    history = (tmp_path / "history.jsonl").read_text()
    assert history.count('"kind":"intent"') == report["audit"]["counts"]["intents"]


@pytest.mark.timeout(200)
def test_a_search_that_is_stopped_still_reports(tmp_path: Path) -> None:
    """SIGTERM in the first step: its customers are sent away, the log is audited, and there is no answer."""
    code, report, err = simulate(
        tmp_path, "--find-max", "p99<1s", "--rate", "10", "--duration", "60s", stop_after='"kind":"ok"'
    )
    assert code == 0, err
    assert report["interrupted"]
    assert report["find_max"]["steps"] == []
    assert "Interrupted after 0 steps" in err
    assert report["load"]["answered"] > 0
    assert report["audit"]["anomalies"] == []


@pytest.mark.parametrize(
    ("threshold", "sentence"),
    [
        ("duplicate_charge == 0", "--find-max: duplicate_charge is counted by the audit at the end"),
        ("soon", "--find-max: 'soon' is not a threshold"),
    ],
)
def test_a_search_for_what_no_step_can_tell_is_refused(tmp_path: Path, threshold: str, sentence: str) -> None:
    """Before anything is started, in one sentence."""
    code, _, err = simulate(tmp_path, "--find-max", threshold)
    assert code == 2
    assert err.startswith(sentence)
