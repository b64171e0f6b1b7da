"""`keys show`, `events tail` and `audit` beside a running stack, by people who leave when they have seen enough."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.up import Up, running

BOUND_S = 60.0  # bounds a hang
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A stack in a folder with a blank and an umlaut, that took two payments."""
    with running(tmp_path_factory.mktemp("looking") / "für alle") as one:
        one.pay("..")
        one.pay("second")
        yield one


def looking(up: Up, *arguments: str) -> "subprocess.Popen[str]":
    return payonce(*arguments, "--dir", str(up.directory))


def payonce(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "simulator.cli", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def test_a_key_of_dots_is_found(up: Up) -> None:
    """`..` is a key like any other, and no way up; nothing of its life is cut off where the lines are short."""
    shown, said = looking(up, "keys", "show", "..").communicate(timeout=BOUND_S)
    assert shown.startswith("merchant_1/.."), said
    assert "…" not in shown


@pytest.mark.parametrize("arguments", [("audit",), ("events", "tail"), ("keys", "show", "second")], ids=" ".join)
def test_a_reader_who_left_is_no_error(up: Up, arguments: tuple[str, ...]) -> None:
    """Into a closed pipe the exit code is the same, without a sentence about the pipe."""
    process = looking(up, *arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(BOUND_S) == 0, said
    assert "pipe" not in said.lower()


@pytest.mark.parametrize("arguments", [("audit",), ("events", "tail"), ("keys", "show", "x")], ids=" ".join)
def test_whoever_waits_for_a_silent_kafka_is_told_for_what(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A server that takes connections and never answers is named within a few seconds, long before it is given up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        process = payonce(*arguments, "--kafka", where, "--dir", str(tmp_path))
        assert process.stderr is not None
        try:
            assert process.stderr.readline() == f"reaching {where}\n"
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_an_audit_is_stopped_by_a_signal(tmp_path: Path, number: int, code: int) -> None:
    """SIGTERM is a clean stop, Ctrl-C an interruption; neither is a verdict."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        process = payonce("audit", "--kafka", where, "--dir", str(tmp_path))
        assert process.stderr is not None
        assert process.stderr.readline() == f"reaching {where}\n"
        process.send_signal(number)
        out, _ = process.communicate(timeout=BOUND_S)
        assert (process.returncode, out) == (code, "")


def test_following_ends_with_its_reader(up: Up) -> None:
    """`events tail --follow | head -1` ends also when no further event comes."""
    process = looking(up, "events", "tail", "--follow", "-n", "1")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(BOUND_S) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_following_is_stopped_by_a_signal(up: Up, number: int, code: int) -> None:
    """SIGTERM is a clean stop, Ctrl-C an interruption."""
    process = looking(up, "events", "tail", "--follow", "-n", "1")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(number)
    assert process.wait(BOUND_S) == code
