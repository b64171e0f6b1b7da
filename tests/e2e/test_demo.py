"""The product's main job, start to end: real processes, a real Kafka, customers, vandals and a verdict."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from simulator.history import read_history
from simulator.report.model import RunReport
from tests.support.recounting import disagreements, undescribed
from tests.support.wait import wait_until_sync

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"
SHORT = ("--seed", "7", "--rate", "40", "--duration", "10s")


def payonce(*arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "simulator.cli", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(running: subprocess.Popen[str], timeout_s: float = 150.0) -> tuple[int, str, str]:
    try:
        out, err = running.communicate(timeout=timeout_s)
    finally:
        running.kill()
    return running.returncode, out, err


@pytest.mark.timeout(200)
def test_the_same_customers_are_overcharged_at_least_once_and_charged_exactly_once(tmp_path: Path) -> None:
    """One seed, two guarantees: all three causes of duplicates under the one, none and a valid log under the
    other.
    """
    code, out, err = finish(payonce("demo", *SHORT, "--dir", str(tmp_path), "--json"))
    assert code == 0, err
    loose, exact = json.loads(out)

    assert loose["audit"]["verdict"] == "invalid"
    assert all(loose["audit"]["counts"]["duplicates"].values()), loose["audit"]["counts"]["duplicates"]
    assert loose["audit"]["counts"]["lost"] == 0
    assert loose["audit"]["counts"]["overcharged"]

    assert exact["audit"]["verdict"] == "valid"
    assert not any(exact["audit"]["counts"]["duplicates"].values())
    assert sum(exact["audit"]["counts"]["aborted_records"].values()) > 0
    assert exact["load"]["answered"] == exact["load"]["intents"]
    for run in (loose, exact):
        assert {name: counts["bitten"] > 0 for name, counts in run["faults"].items()} == dict.fromkeys(
            ("kill_processor", "lose_request", "lose_response", "rewind_offsets"), True
        )
        assert run["unsettled"] == []
    assert loose["load"]["purchases_planned"] == exact["load"]["purchases_planned"]
    assert intents(tmp_path / "demo/at-least-once") == intents(tmp_path / "demo/exactly-once")

    reports = [str(tmp_path / f"demo/{guarantee}/report.json") for guarantee in ("at-least-once", "exactly-once")]
    code, out, err = finish(payonce("compare", *reports))
    assert code == 1, err  # one of the two has anomalies
    assert rows(out)["verdict"] == ["invalid", "valid"]
    assert rows(out)["payment intents"] == [f"{loose['audit']['counts']['payment_intents']:,}"] * 2
    check_reports(tmp_path / "demo")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_run_that_is_stopped_still_reports(tmp_path: Path, number: signal.Signals, expected: int) -> None:
    """Stopped in mid-run, the customers go, the log is audited, the report is written; after Ctrl-C 130 says
    so, SIGTERM is a clean stop.
    """
    running = payonce("simulate", "--seed", "7", "--rate", "20", "--duration", "60s", "--dir", str(tmp_path))
    history = tmp_path / "history.jsonl"
    try:
        wait_until_sync(
            lambda: history.exists() and b'"kind":"ok"' in history.read_bytes(),
            timeout_s=60,
            message="no customer was ever answered",
        )
        running.send_signal(number)
    finally:
        code, out, err = finish(running, timeout_s=50.0)
    assert code == expected, err
    assert "verdict" in out
    assert "Traceback" not in err
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["interrupted"]
    assert report["audit"]["counts"]["charges"] > 0
    assert report["audit"]["anomalies"] == []


@pytest.mark.timeout(120)
def test_a_demo_that_is_stopped_reports_the_run_that_was_finished(tmp_path: Path) -> None:
    """Stopped while the second stack starts, the demo still shows what the first run found."""
    running = payonce("demo", "--rate", "20", "--duration", "2s", "--dir", str(tmp_path))
    try:
        wait_until_sync((tmp_path / "demo/exactly-once/stack").exists, timeout_s=90, message="no second run began")
        running.send_signal(signal.SIGINT)
    finally:
        code, out, err = finish(running, timeout_s=50.0)
    assert code == 130, err
    assert "verdict: " in out
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["simulate", "nothing"], 2, "There is no scenario 'nothing'"),
        (["compare", "a.json", "b.json"], 2, "a.json cannot be read"),
        (["compare", "a", "b", "c"], 2, "compare takes a scenario"),
        (["report", "nowhere"], 2, "There is no finished run in nowhere"),
        (["simulate", "--target", "nowhere/stack.json"], 2, "No stack is running here"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_sentence(
    arguments: Sequence[str], code: int, sentence: str, tmp_path: Path
) -> None:
    """A wrong call ends at once, with one sentence and no stack trace."""
    directory = [] if arguments[0] in ("compare", "report") else ["--dir", str(tmp_path)]
    got, _, err = finish(payonce(*arguments, *directory), timeout_s=30.0)
    assert got == code, err
    assert err.startswith(sentence)
    assert len(err.strip().splitlines()) == 1


def check_reports(folder: Path) -> None:
    """Every figure of both reports comes out again from the files beside it, report.json is as its schema says, and
    `payonce report` makes the same pages again, byte for byte.
    """
    schema = json.loads(SCHEMA.read_text())
    for guarantee in ("at-least-once", "exactly-once"):
        assert disagreements(folder / guarantee) == []
        summary = json.loads((folder / guarantee / "report.json").read_text())
        jsonschema.validate(summary, schema)
        assert undescribed(RunReport.model_validate(summary)) == []
        suite = next(ET.fromstring((folder / guarantee / "report.xml").read_text()).iter("testsuite"))
        assert (suite.attrib["failures"] != "0") is (summary["audit"]["verdict"] == "invalid")
        assert suite.attrib["errors"] == "0"
    pages = {path: path.read_bytes() for path in folder.rglob("report.html")}
    assert len(pages) == 3
    code, out, err = finish(payonce("report", str(folder)))
    assert code == 0, err
    assert {line for line in out.splitlines() if line.endswith(".html")} == {str(path) for path in pages}
    assert {path: path.read_bytes() for path in pages} == pages


def intents(directory: Path) -> dict[str, Any]:
    """What the customers of a run meant to do first; what follows depends on the answers."""
    return {
        line["intent"]: (line["merchant_id"], line["payload"], line["persona"])
        for line in read_history(directory / "history.jsonl")
        if line["kind"] == "intent" and line["operation"] == "charge.create"
    }


def rows(table: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in re.split("[│┃]", line)] for line in table.splitlines()]
    return {row[0]: row[1:] for row in cells if len(row) > 1}
