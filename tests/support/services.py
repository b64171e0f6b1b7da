"""Services of a test's own: real processes, started as containers start them, killed at the end.

In:      a role, the environment, a folder.
Out:     a ServiceProcess once it has logged `ready`: its address, its pid, its log.
Errors:  AssertionError with the end of the log when it does not get ready.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.wait import wait_until_sync

READY_WITHIN_S = 60.0
_GRACE_S = 10.0


class ServiceProcess:
    def __init__(self, role: str, directory: Path, environment: dict[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.role = role
        self._log = directory / f"{role}.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"services.{role}"],
                env=inherited | {"PAYONCE_DIR": str(directory)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        """Where it listens, as its `ready` line says."""
        return f"http://{self.logged('ready')[0]['listen']}"

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Every log line with this event so far."""
        found = []
        for line in self.log().splitlines():
            if line.startswith("{") and line.endswith("}"):
                entry = json.loads(line)
                if entry.get("event") == event:
                    found.append(entry)
        return found

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_ready(self, timeout_s: float = READY_WITHIN_S) -> None:
        def is_ready() -> bool:
            assert self.process.poll() is None, f"{self.role} exited {self.process.poll()}:\n{self._end()}"
            return bool(self.logged("ready"))

        wait_until_sync(is_ready, timeout_s=timeout_s, message=lambda: f"{self.role} is not ready:\n{self._end()}")

    def wait_exit(self, timeout_s: float = 30.0) -> int:
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL, also of a stopped process, and reap it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(_GRACE_S)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(_GRACE_S)

    def _end(self) -> str:
        return self.log()[-4000:]


@contextmanager
def service(role: str, directory: Path, environment: dict[str, str], *, ready: bool = True) -> Iterator[ServiceProcess]:
    """A process that is killed at the end, whatever happened; `ready=False` does not wait for it."""
    process = ServiceProcess(role, directory, environment)
    try:
        if ready:
            process.wait_ready()
        yield process
    finally:
        process.kill()
