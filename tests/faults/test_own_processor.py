"""Somebody's own processor: the naive example is convicted, the correct one is not, and what cannot run is told."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.failure import UsageFailure
from simulator.foreign_processor import read_command

ROOT = Path(__file__).parents[2]
PAYONCE = Path(sys.executable).with_name("payonce")


def simulate(example: str, directory: Path, *more: str) -> tuple[int, dict[str, Any]]:
    command = f"{sys.executable} {ROOT / 'examples' / example}"
    done = subprocess.run(
        [PAYONCE, "simulate", ROOT / "examples" / "pay.yaml", "--processor", command, "--dir", directory, *more],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    report = directory / "report.json"
    assert report.exists(), done.stderr
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return done.returncode, told


def duplicates(told: dict[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = told["audit"]["counts"]["duplicates"]
    return counts


def test_the_naive_one_is_convicted(tmp_path: Path) -> None:
    """A customer's retry is charged again, and so is what a crash or a rewind delivers again."""
    code, told = simulate("naive_processor.py", tmp_path, "--duration", "18s", "--rate", "30")
    assert (code, told["audit"]["verdict"]) == (1, "invalid")
    assert duplicates(told)["client_retry"] > 0
    assert duplicates(told)["crash_redelivery"] + duplicates(told)["rewind"] > 0


def test_the_correct_one_is_not(tmp_path: Path) -> None:
    """Through the same kills, losses and rewinds, every customer is charged once."""
    code, told = simulate("correct_processor.py", tmp_path, "--duration", "18s", "--rate", "30")
    assert (code, told["audit"]["verdict"]) == (0, "valid"), told["audit"]
    assert all(counts["bitten"] for counts in told["faults"].values())
    assert sum(told["audit"]["counts"]["aborted_records"].values()) > 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "--processor needs a command"),
        ("'unfinished", "cannot be read as a command"),
        ("no-such-program --x", "there is no program 'no-such-program'"),
    ],
)
def test_a_command_that_cannot_run_is_told_before_anything_starts(text: str, sentence: str) -> None:
    """One sentence."""
    with pytest.raises(UsageFailure, match=sentence):
        read_command(text)


def test_arguments_are_split_as_a_shell_does() -> None:
    """Quotes keep words together."""
    assert read_command("sh -c 'a b'")[1:] == ("-c", "a b")
