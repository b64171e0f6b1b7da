"""`payonce up` as a person runs it: a process with a directory, a ready line and a stack.json."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.wait import wait_until_sync

READY_S = 60.0  # bounds a hang, measures nothing
PAYMENT = {"amount": 1_250, "currency": "eur", "payment_method": "pm_card_visa"}


class Up:
    """One running `payonce up`."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulator.cli", "up", "--dir", str(directory), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=_read_lines, args=(self.process.stdout, self.out), daemon=True),
            threading.Thread(target=_read_lines, args=(self.process.stderr, self.err), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def wait_ready(self) -> str:
        def told() -> str | None:
            assert self.process.poll() is None, f"payonce up ended with {self.process.returncode}: {self.err}"
            return next((line for line in self.out if line.startswith("ready")), None)

        return wait_until_sync(told, timeout_s=READY_S, message=lambda: f"a ready line; it said {self.err}") or ""

    def stack(self) -> dict[str, Any]:
        stack: dict[str, Any] = json.loads((self.directory / "stack.json").read_text())
        return stack

    def pid(self, role: str, index: int = 0) -> int | None:
        """As stack.json has it at this moment."""
        found = [p["pid"] for p in self.stack()["processes"] if (p["role"], p["index"]) == (role, index)]
        return found[0] if found else None

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 60.0) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join(5)
        return code

    def pay(self, key: str, merchant: str = "merchant_1", gateway: int = 0, timeout_s: float = 30.0) -> dict[str, Any]:
        """One payment, tried with the same key until it has an answer; returns the charge."""
        stack = self.stack()
        headers = {"Authorization": f"Bearer {stack['api_keys'][merchant]}", "Idempotency-Key": key}
        said: list[str] = []

        def paid() -> dict[str, Any] | None:
            try:
                answer = httpx.post(
                    f"{stack['gateway_urls'][gateway]}/v1/charges", headers=headers, json=PAYMENT, timeout=5
                )
            except httpx.TransportError as error:
                said.append(repr(error))
                return None
            said.append(f"{answer.status_code} {answer.text}")
            return answer.json() if answer.status_code == httpx.codes.CREATED else None

        charge = wait_until_sync(paid, timeout_s=timeout_s, message=lambda: f"a charge for {key}; got {said[-3:]}")
        assert charge is not None
        return charge


@contextmanager
def running(directory: Path, *options: str) -> Iterator[Up]:
    """`payonce up`, ready; gone afterwards however the test ended."""
    up = Up(directory, *options)
    try:
        up.wait_ready()
        yield up
    finally:
        up.end()


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _read_lines(stream: Any, lines: list[str]) -> None:
    lines.extend(line.rstrip("\n") for line in stream)
