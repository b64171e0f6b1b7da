"""What can be done to one process of the system: killed, stopped for a while; and how to see that it is back.

Units:   seconds, in fields ending _s.
Source:  kill(2): SIGKILL, SIGSTOP and SIGCONT reach any process of ours, whatever it is doing.
"""

import asyncio
import signal
import time
from contextlib import suppress

from simulator.faults.base import Injection, Scene, Victim

BACK_S = 20.0  # an embedded broker is back within 8 s, services sooner
LOOK_EVERY_S = 0.05


def choose(scene: Scene, injection: Injection, role: str) -> Victim | None:
    """One that runs; says why not where none of this role can be reached."""
    running = sorted(scene.processes.running(role), key=lambda victim: victim.index)
    if not running:
        injection.found["reason"] = f"no {role} of ours was running"
        return None
    return injection.rng.choice(running)


async def kill(scene: Scene, injection: Injection, role: str) -> None:
    """SIGKILL; a hit when it is dead. Returns when another has taken its place."""
    victim = choose(scene, injection, role)
    if victim is None:
        return
    await scene.processes.kill(victim)
    scene.say(f"killed {role} {victim.index}")
    injection.hit(process=f"{role} {victim.index}", pid=victim.pid)
    await successor(scene, injection, victim)


async def stand_still(scene: Scene, injection: Injection, role: str) -> None:
    """SIGSTOP, and SIGCONT when it has lasted; what it does meanwhile is nothing at all."""
    victim = choose(scene, injection, role)
    if victim is None:
        return
    scene.processes.signal(victim, signal.SIGSTOP)
    try:
        scene.say(f"stopped {role} {victim.index} for {injection.lasts_s:.1f} s")
        injection.hit(process=f"{role} {victim.index}", pid=victim.pid)
        await scene.lasts(injection.lasts_s)
    finally:
        with suppress(ProcessLookupError):
            scene.processes.signal(victim, signal.SIGCONT)


async def successor(scene: Scene, injection: Injection, victim: Victim) -> Victim | None:
    """The process that runs in the dead one's place, once there is one."""
    began = time.monotonic()
    while time.monotonic() - began < BACK_S:
        for running in scene.processes.running(victim.role):
            if running.index == victim.index and running.pid != victim.pid:
                injection.found["back_after_s"] = round(time.monotonic() - began, 2)
                return running
        await asyncio.sleep(LOOK_EVERY_S)
    injection.found["reason"] = f"{victim.role} {victim.index} did not come back within {BACK_S:g} s"
    return None
