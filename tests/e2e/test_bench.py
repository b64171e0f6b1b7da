"""`payonce bench`, start to end: measured, told, interrupted."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from simulator.broker.embedded import EmbeddedBroker
from tests.support.wait import wait_until_sync

BOUND_S = 60.0


def start(kafka: EmbeddedBroker, directory: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
    where = ["--kafka", kafka.bootstrap_servers, "--dir", str(directory)]
    return subprocess.Popen(
        [sys.executable, "-m", "simulator.cli", "bench", *where, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=(directory / "said").open("w"),
        text=True,
    )


def test_ours_is_measured_under_two_guarantees_and_put_side_by_side(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """Every run is in the figures, the ratio is there, and the pictures lie beside them."""
    running = start(
        kafka, tmp_path, "--only", "payonce-exactly-once", "--only", "*at-least*", "--commands", "1000",
        "--repeat", "1", "--json", "--save", str(tmp_path / "saved"),
    )  # fmt: skip
    out, _ = running.communicate(timeout=BOUND_S)
    assert running.returncode == 0, (tmp_path / "said").read_text()
    told = json.loads(out)
    assert [(run["subject"], run["commands"]) for run in told["runs"]] == [
        ("payonce-exactly-once", 1_000),
        ("payonce-at-least-once", 1_000),
    ]
    (ratio,) = (
        one for one in told["ratios"] if one["ours"] == "payonce-exactly-once" and one["metric"] == "steady_per_s"
    )
    first, second = (run["steady_per_s"] for run in told["runs"])
    assert ratio["spread"]["median"] == first / second
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "throughput.json",
        "throughput.svg",
        "throughput.html",
        "README.md",
    }


def test_ctrl_c_stops_everything_and_tells_what_was_finished(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """Exit code 130, and nothing of it runs on or lies about."""
    running = start(kafka, tmp_path, "--only", "payonce-at-most-once", "--commands", "5000", "--repeat", "50")
    said = tmp_path / "said"
    wait_until_sync(lambda: "round 2 of 50" in said.read_text(), timeout_s=BOUND_S, message=said.read_text)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=BOUND_S)
    assert running.returncode == 130
    assert "Interrupted: this is what was finished by then." in out
    assert "payonce-at-most-once" in out
    assert not list((tmp_path / "bench").glob("run-*"))
