"""How faults reach the processes: through the stack that runs here, or by the pids of one that runs elsewhere
on this machine.

In:      a Stack of our own, or the path of somebody's stack.json.
Out:     `Processes`, as faults know them.
Errors:  ProcessLookupError when a process is gone; Failure when stack.json cannot be read.
Source:  CONTRACT, `payonce up`: stack.json is true at every moment, and what dies is started again.
"""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from simulator.faults.base import Victim
from simulator.foreign_processor import foreign_instance
from simulator.stack import Stack
from simulator.stack_files import read_stack

INSTANCE_LENGTH = 8  # a client id has this much of the identity: enough to tell processes apart
DEATH_POLL_S = 0.01
DEATH_S_MAX = 5.0


def instance_of(directory: Path) -> str:
    """How client ids name the service that lives in this directory; empty before its first start."""
    try:
        told = json.loads((directory / "identity.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(told.get("identity", ""))[:INSTANCE_LENGTH] if isinstance(told, dict) else ""


class OwnProcesses:
    """Those of a stack that this program runs."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def running(self, role: str) -> Sequence[Victim]:
        return [Victim(p.role, p.index, p.pid) for p in self._stack.processes() if p.role == role]

    def signal(self, victim: Victim, number: int) -> None:
        if victim not in self.running(victim.role):
            raise ProcessLookupError(f"{victim.role} {victim.index} is gone")
        self._stack.signal(victim.role, victim.index, number)

    async def kill(self, victim: Victim) -> None:
        await self._stack.kill(victim.role, victim.index)

    def instance(self, victim: Victim) -> str:
        if victim.role == "processor" and self._stack.options.processor:
            return foreign_instance(victim.index)
        return instance_of(self._stack.dir / f"{victim.role}-{victim.index}")


class TargetProcesses:
    """Those of a stack that somebody else runs on this machine."""

    def __init__(self, stack_file: Path) -> None:
        self._stack_file = stack_file
        self._directory = stack_file if stack_file.is_dir() else stack_file.parent

    def running(self, role: str) -> Sequence[Victim]:
        processes = read_stack(self._stack_file)["processes"]
        return [Victim(p["role"], p["index"], p["pid"]) for p in processes if p["role"] == role]

    def signal(self, victim: Victim, number: int) -> None:
        os.kill(victim.pid, number)

    async def kill(self, victim: Victim) -> None:
        os.kill(victim.pid, signal.SIGKILL)
        async with asyncio.timeout(DEATH_S_MAX):
            while victim in self.running(victim.role):  # noqa: ASYNC110  another program tells it, in a file
                await asyncio.sleep(DEATH_POLL_S)

    def instance(self, victim: Victim) -> str:
        return instance_of(self._directory / f"{victim.role}-{victim.index}")
