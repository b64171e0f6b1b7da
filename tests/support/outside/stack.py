"""A stack as somebody outside sees it: stack.json, read anew each time, and the pids in it.

Errors:  ProcessLookupError when a process is gone, AssertionError when the stack is.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any


class Stack:
    def __init__(self, directory: Path) -> None:
        self._file = directory / "stack.json"
        told = self.told()
        self.gateways: list[str] = told["gateway_urls"]
        self.api_keys: dict[str, str] = told["api_keys"]
        self.kafka: str = told["kafka"]["bootstrap_servers"]
        self.namespace: str = told["namespace"]
        self.guarantee: str = told["guarantee"]

    def told(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(self._file.read_text())
        except FileNotFoundError:
            raise AssertionError(f"{self._file} is gone: `payonce up` gave up") from None
        return told

    def pids(self, role: str) -> list[int]:
        return [one["pid"] for one in self.told()["processes"] if one["role"] == role]

    def signal(self, pid: int, number: signal.Signals) -> None:
        if pid not in (one["pid"] for one in self.told()["processes"]):
            raise ProcessLookupError(pid)
        os.kill(pid, number)
