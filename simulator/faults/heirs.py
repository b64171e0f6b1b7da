"""Who takes over from a processor that its group misses, and whether it comes back.

In:      the scene; the processor and what it owned.
Out:     what was found: after how long others owned it all; whether it is a member again under another id.
Units:   seconds, in fields ending _s.
Source:  DESIGN, "Exactly once": the session time-out is 6 s, then the survivors join again.
"""

import asyncio
import time
from typing import Final

from simulator.faults.base import Injection, Scene, Victim
from simulator.log_watch import Owner

TAKEN_OVER_S: Final = 25.0
BACK_S: Final = 20.0
LOOK_EVERY_S: Final = 0.1


def has_heirs(scene: Scene, injection: Injection) -> bool:
    """Whether anybody could take over; says so where nobody could."""
    if len(scene.processes.running("processor")) < 2:
        injection.found["reason"] = "there was no other processor to take over"
        return False
    return True


async def wait_for_heirs(scene: Scene, injection: Injection, owner: Owner) -> bool:
    """Until others own all that this one owned; `taken_over_after_s` is then found, or else the reason."""
    began = time.monotonic()
    while time.monotonic() - began < TAKEN_OVER_S:
        owners = await scene.log.owners()
        held = {partition for other in owners for partition in other.partitions}
        if owner.member_id not in {other.member_id for other in owners} and held >= set(owner.partitions):
            injection.found["taken_over_after_s"] = round(time.monotonic() - began, 2)
            return True
        await asyncio.sleep(LOOK_EVERY_S)
    injection.found["reason"] = f"nobody took over within {TAKEN_OVER_S:g} s"
    return False


async def is_member_again(scene: Scene, victim: Victim, owner: Owner) -> bool:
    """Whether it has noticed that it was missed: it is a member again, under another id."""
    instance = scene.processes.instance(victim)
    began = time.monotonic()
    while time.monotonic() - began < BACK_S:
        if any(o.instance == instance and o.member_id != owner.member_id for o in await scene.log.owners()):
            return True
        await asyncio.sleep(LOOK_EVERY_S)
    return False
