"""One process that really runs, for a fault to strike: it sleeps, in the place of a role of the system.

Out:     a Scene in which nothing else is, and the process to look at. It is killed at the end.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import psutil

from events.guarantees import Guarantee
from simulator.faults.base import Fault, Injection, Processes, Scene, Victim
from simulator.log_watch import LogWatch
from simulator.seeded import seeded


class _One:
    def __init__(self, victim: Victim) -> None:
        self._victim = victim

    def running(self, role: str) -> list[Victim]:
        return [self._victim] if role == self._victim.role else []

    def signal(self, victim: Victim, number: int) -> None:
        os.kill(victim.pid, number)


@asynccontextmanager
async def scene_with(role: str) -> AsyncIterator[tuple[Scene, psutil.Process]]:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    try:
        processes = cast("Processes", _One(Victim(role, 0, child.pid)))
        scene = Scene(Guarantee.EXACTLY_ONCE, processes, (), cast("LogWatch", None), lambda _: None)
        yield scene, psutil.Process(child.pid)
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()


def injection_of(fault: Fault) -> Injection:
    """The first strike of this fault; it lasts half a minute unless it is cancelled."""
    return Injection(fault.name, 1, seeded(1), 30.0, lambda _phase, _detail: None)
