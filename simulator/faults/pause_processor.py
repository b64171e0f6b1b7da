"""A processor becomes a zombie: it stands still in mid-work until another has taken over, and then goes on.

Copies a long pause of a runtime or a machine that was suspended, the case that leases and fencing exist for. It is
stopped with work half done; its group misses it after the session time-out and gives its partitions to somebody else;
then it wakes with everything in its memory as it was. Under exactly-once what it had open must be aborted, and what it
tries to finish must be refused; below that it may do it again.
"""

from typing import ClassVar, Literal

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.heirs import has_heirs, is_member_again, wait_for_heirs
from simulator.faults.kill_processor import choose_processor, hunt, proof_of
from simulator.faults.midwork import Unfinished


class PauseProcessor(Fault):
    fault: Literal["pause_processor"] = "pause_processor"
    cadence: ClassVar = Cadence(first_s=4.0, every_s=20.0, share=0.2)
    disturbs: ClassVar = "processor"
    processors: ClassVar = 2

    async def inject(self, scene: Scene, injection: Injection) -> None:
        if not has_heirs(scene, injection):
            return
        victim, owner = await choose_processor(scene, injection)

        async def outlive(caught: Unfinished) -> None:
            scene.say(f"stopped processor {victim.index} {caught.moment}")
            await wait_for_heirs(scene, injection, owner)

        caught = await hunt(scene, injection, victim, owner, outlive)
        if caught is None or "taken_over_after_s" not in injection.found:
            return
        scene.say(f"woke processor {victim.index}")
        proof = await proof_of(scene, caught)
        if await is_member_again(scene, victim, owner):
            proof["refused_and_rejoined"] = 1
        if proof:
            injection.hit(process=f"processor {victim.index}", pid=victim.pid, moment=caught.moment, **proof)
