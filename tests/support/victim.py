"""One process that really runs, for a fault to strike: it sleeps, in the place of a role of the system.

Out:     a Scene in which nothing else is, and the process to look at. Killed or ended, another takes its place, as
         a supervisor would see to. All of them are killed at the end.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import psutil

from events.guarantees import Guarantee
from simulator.faults.base import Fault, Injection, Processes, Scene, Victim
from simulator.log_watch import LogWatch
from simulator.seeded import seeded


class _One:
    """A supervisor of one process."""

    def __init__(self, role: str) -> None:
        self._role = role
        self.children: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        self.children.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))

    def running(self, role: str) -> list[Victim]:
        if self.children[-1].poll() is not None:
            self.start()
        return [Victim(role, 0, self.children[-1].pid)] if role == self._role else []

    def signal(self, victim: Victim, number: int) -> None:
        os.kill(victim.pid, number)

    async def kill(self, victim: Victim) -> None:
        os.kill(victim.pid, signal.SIGKILL)
        await asyncio.to_thread(self.children[-1].wait)

    def end(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()


@asynccontextmanager
async def scene_with(role: str) -> AsyncIterator[tuple[Scene, psutil.Process]]:
    one = _One(role)
    try:
        processes = cast("Processes", one)
        scene = Scene(Guarantee.EXACTLY_ONCE, processes, (), cast("LogWatch", None), lambda _: None)
        yield scene, psutil.Process(one.children[0].pid)
    finally:
        one.end()


def injection_of(fault: Fault, hit: Callable[[dict[str, object]], None] = lambda _: None) -> Injection:
    """The first strike of this fault; it lasts half a minute unless it is cancelled. `hit` is told each bite."""

    def record(phase: str, detail: object) -> None:
        if phase == "hit":
            hit(cast("dict[str, object]", detail))

    return Injection(fault.name, 1, seeded(1), 30.0, record)
