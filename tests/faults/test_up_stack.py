"""`payonce up` with everything real: what its files say, what is killed comes back, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.up import Up, is_running, running
from tests.support.wait import wait_until_sync

READY_S = 30.0  # 5 s on two idle cores
RECOVERY_S = 40.0  # bounds a hang on a busy machine


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Two gateways, two processors, a ledger and a broker, shared by the tests of this module."""
    with running(tmp_path_factory.mktemp("up"), "--gateways", "2", "--processors", "2") as one:
        yield one


def payonce(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")},
    )


def test_stack_json_has_the_members_of_the_contract(up: Up) -> None:
    """Exactly the members that the contract names, every pid a live process, the keys readable by the owner only."""
    stack = up.stack()
    assert set(stack) == {
        "gateway_url",
        "gateway_urls",
        "console_url",
        "kafka",
        "namespace",
        "guarantee",
        "api_keys",
        "processes",
        "ledger_url",
    }
    assert stack["gateway_url"] == stack["gateway_urls"][0]
    assert stack["console_url"] is None
    assert set(stack["kafka"]) == {"bootstrap_servers"}
    assert (stack["namespace"], stack["guarantee"]) == ("payments", "exactly-once")
    assert set(stack["api_keys"]) == {f"merchant_{number}" for number in range(1, 9)}
    assert sorted((p["role"], p["index"]) for p in stack["processes"]) == [
        ("broker", 0),
        ("gateway", 0),
        ("gateway", 1),
        ("ledger", 0),
        ("processor", 0),
        ("processor", 1),
    ]
    assert all(is_running(p["pid"]) for p in stack["processes"])
    assert (up.directory / "stack.json").stat().st_mode & 0o077 == 0
    for url in stack["gateway_urls"]:
        assert httpx.get(f"{url}/readyz").status_code == 200


def test_exactly_one_line_says_ready(up: Up) -> None:
    """Whoever waits for the line finds one, and nothing else on stdout."""
    assert [line.split()[0] for line in up.out] == ["ready"]


@pytest.mark.parametrize(
    ("role", "index"), [("processor", 0), ("processor", 1), ("gateway", 0), ("ledger", 0), ("broker", 0)]
)
def test_what_is_killed_comes_back_and_payments_go_on(up: Up, role: str, index: int) -> None:
    """After SIGKILL stack.json has a new pid, every merchant's payments are answered, and no key charges twice."""
    before = up.pay(f"before-{role}-{index}")
    victim = up.pid(role, index)
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    wait_until_sync(
        lambda: up.pid(role, index) not in (None, victim), timeout_s=RECOVERY_S, message="a new pid in stack.json"
    )
    assert not is_running(victim)
    for number in range(1, 9):
        up.pay(f"after-{role}-{index}", f"merchant_{number}", timeout_s=RECOVERY_S)
    assert up.pay(f"before-{role}-{index}") == before
    name = "the broker" if role == "broker" else f"{role} {index}"
    told = [line for line in up.err if line.startswith(name) and "starting it again" in line]
    assert len(told) == 1, up.err


def test_a_broker_killed_while_it_comes_back_comes_back(up: Up) -> None:
    """Killed before it serves, and again: the next one serves, the stack goes on, and no failure is told."""
    before = up.pay("before-twice")
    killed: list[int | None] = [None]
    for _ in range(3):
        victim = wait_until_sync(
            lambda: (pid := up.pid("broker")) not in killed and pid, timeout_s=RECOVERY_S, message="another broker"
        )
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)
    up.pay("after-twice", timeout_s=RECOVERY_S)
    assert up.pay("before-twice") == before
    assert up.process.poll() is None


def test_a_paused_process_stays_in_stack_json(up: Up) -> None:
    """SIGSTOP kills nothing: the pid stays, and nobody starts another."""
    pid = up.pid("gateway", 1)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    up.pay("while-the-other-is-paused")
    assert up.pid("gateway", 1) == pid
    os.kill(pid, signal.SIGCONT)
    up.pay("after-the-pause", gateway=1)


def test_a_second_stack_in_the_same_directory_is_refused(up: Up) -> None:
    """One sentence with the holder's pid, exit code 2, and the first stack goes on."""
    second = payonce("up", "--dir", str(up.directory))
    assert second.returncode == 2
    assert f"process {up.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert up.stack()["processes"]


def test_keys_show_tells_the_life_of_a_key(up: Up) -> None:
    """From the gateway, and from the log alone, the same life; a key that nobody used is exit code 1."""
    charge = up.pay("look at me/1")
    where = ("--dir", str(up.directory), "--json")
    asked = payonce("keys", "show", "look at me/1", *where, "--merchant", "merchant_1")
    assert asked.returncode == 0, asked.stderr
    life = json.loads(asked.stdout)
    assert (life["merchant_id"], life["state"], life["charge_id"]) == ("merchant_1", "completed", charge["id"])
    read = payonce("keys", "show", "look at me/1", "--kafka", up.stack()["kafka"]["bootstrap_servers"], "--json")
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout).items() <= life.items()
    assert payonce("keys", "show", "nobody's", *where).returncode == 1


def test_events_tail_shows_the_newest_events(up: Up) -> None:
    """The charge just made is the last of the newest three, as text with its money and as JSON."""
    charge = up.pay("the newest")
    where = ("events", "tail", "-n", "3", "--dir", str(up.directory))
    text = payonce(*where)
    assert text.returncode == 0, text.stderr
    lines = text.stdout.splitlines()
    assert len(lines) == 3
    assert charge["id"] in lines[-1]
    assert "12.50 EUR" in lines[-1]
    assert json.loads(payonce(*where, "--json").stdout.splitlines()[-1])["charge_id"] == charge["id"]


def test_events_tail_follows(up: Up) -> None:
    """With --follow an event is shown when it comes, and Ctrl-C ends it as interrupted."""
    command = [sys.executable, "-m", "simulator.cli", "events", "tail", "-n", "1", "--follow"]
    with subprocess.Popen([*command, "--dir", str(up.directory)], stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        following.stdout.readline()  # the newest there was: from here on it follows
        charge = up.pay("to be followed")
        assert charge["id"] in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(20) == 130


def test_audit_of_a_running_stack_is_valid(up: Up) -> None:
    """Whatever was killed meanwhile, the log of this module's payments has nothing to be convicted of."""
    audited = payonce("audit", "--dir", str(up.directory), "--json")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert json.loads(audited.stdout)["verdict"] == "valid"


def test_sigterm_stops_everything_and_the_next_stack_goes_on_where_it_was(tmp_path: Path) -> None:
    """Ready soon; exit code 0, nothing left behind; the same directory has the same keys and the same charges."""
    started = time.monotonic()
    with running(tmp_path) as first:
        assert time.monotonic() - started < READY_S
        charge = first.pay("kept")
        keys = first.stack()["api_keys"]
        pids = [p["pid"] for p in first.stack()["processes"]]
        assert first.end(signal.SIGTERM) == 0
    assert not any(is_running(pid) for pid in pids)
    assert not (tmp_path / "stack.json").exists()
    assert "Traceback" not in "\n".join(first.err)
    with running(tmp_path) as second:
        assert second.stack()["api_keys"] == keys
        assert second.pay("kept") == charge
        assert second.end(signal.SIGINT) == 130


def test_nothing_outlives_a_killed_up(tmp_path: Path) -> None:
    """SIGKILL of `payonce up` takes every process of the stack with it, the broker too; DIR can be used again."""
    with running(tmp_path) as killed:
        pids = [p["pid"] for p in killed.stack()["processes"]]
        killed.end(signal.SIGKILL)
    wait_until_sync(
        lambda: not any(is_running(pid) for pid in pids), timeout_s=10, message="the death of every process"
    )
    looked = payonce("events", "tail", "--dir", str(tmp_path))
    assert looked.returncode == 1
    assert "was killed" in looked.stderr
    with running(tmp_path) as again:
        again.pay("after all that")


def test_ctrl_c_while_it_starts_stops_what_had_been_started(tmp_path: Path) -> None:
    """Interrupted before it was ready: exit code 130 and nothing left."""
    up = Up(tmp_path)
    logs = tmp_path / "logs"
    wait_until_sync(lambda: logs.exists() and any(logs.iterdir()), timeout_s=20, message="a service being started")
    assert up.end(signal.SIGINT) == 130
    assert up.out == []
    assert "Traceback" not in "\n".join(up.err)
