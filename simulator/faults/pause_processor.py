"""A processor becomes a zombie: it stands still in mid-work until another has taken over, and then goes on.

Copies a long pause of a runtime or a machine that was suspended, the case that leases and fencing exist for. It is
stopped with work half done; its group misses it after the session time-out and gives its partitions to somebody else;
then it wakes with everything in its memory as it was. Under exactly-once what it had open must be aborted, and what it
tries to finish must be refused; below that it may do it again.
"""

import asyncio
import time
from typing import ClassVar, Literal

from simulator.faults.base import Cadence, Fault, Injection, Scene, Victim
from simulator.faults.kill_processor import choose_processor, hunt, proof_of
from simulator.faults.midwork import Unfinished
from simulator.log_watch import Owner

TAKEN_OVER_S = 25.0  # the session time-out is 6 s, then the survivors join again
BACK_S = 20.0


class PauseProcessor(Fault):
    fault: Literal["pause_processor"] = "pause_processor"
    cadence: ClassVar = Cadence(first_s=4.0, every_s=20.0, share=0.2)
    disturbs: ClassVar = "processor"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        if len(scene.processes.running("processor")) < 2:
            injection.found["reason"] = "there was no other processor to take over"
            return
        victim, owner = await choose_processor(scene, injection)

        async def outlive(caught: Unfinished) -> None:
            scene.say(f"stopped processor {victim.index} {caught.moment}")
            await self._wait_for_heirs(scene, injection, owner)

        caught = await hunt(scene, injection, victim, owner, outlive)
        if caught is None or "taken_over_after_s" not in injection.found:
            return
        scene.say(f"woke processor {victim.index}")
        proof = await proof_of(scene, caught)
        if await self._is_member_again(scene, victim, owner):
            proof["refused_and_rejoined"] = 1
        if proof:
            injection.hit(process=f"processor {victim.index}", pid=victim.pid, moment=caught.moment, **proof)

    async def _wait_for_heirs(self, scene: Scene, injection: Injection, owner: Owner) -> None:
        """Until others own all that the zombie owned."""
        began = time.monotonic()
        while time.monotonic() - began < TAKEN_OVER_S:
            owners = await scene.log.owners()
            held = {partition for other in owners for partition in other.partitions}
            if owner.member_id not in {other.member_id for other in owners} and held >= set(owner.partitions):
                injection.found["taken_over_after_s"] = round(time.monotonic() - began, 2)
                return
            await asyncio.sleep(0.1)
        injection.found["reason"] = f"nobody took over within {TAKEN_OVER_S:g} s"

    async def _is_member_again(self, scene: Scene, victim: Victim, owner: Owner) -> bool:
        """Whether it has noticed that it was missed: it is a member again, under another id."""
        instance = scene.processes.instance(victim)
        began = time.monotonic()
        while time.monotonic() - began < BACK_S:
            if any(o.instance == instance and o.member_id != owner.member_id for o in await scene.log.owners()):
                return True
            await asyncio.sleep(0.1)
        return False
