"""Every process of one kind is restarted, one after the other, in good order: SIGTERM, then the next.

Copies an ordinary deployment. Nothing should be noticed but a little waiting.
"""

import asyncio
import signal
import time
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene, Victim
from simulator.faults.processes import successor

MEMBER_S = 20.0


class RollingRestart(Fault):
    fault: Literal["rolling_restart"] = "rolling_restart"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=30.0, share=0.3)
    disturbs: ClassVar = "processor"

    role: Annotated[Literal["processor", "gateway", "ledger"], Field(description="Who is restarted.")] = "processor"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        for victim in sorted(scene.processes.running(self.role), key=lambda one: one.index):
            scene.processes.signal(victim, signal.SIGTERM)
            heir = await successor(scene, injection, victim)
            if heir is None:
                return
            scene.say(f"restarted {self.role} {victim.index}")
            injection.hit(process=f"{self.role} {victim.index}", pid=victim.pid, successor=heir.pid)
            if self.role == "processor":
                await self._works(scene, heir)

    async def _works(self, scene: Scene, heir: Victim) -> None:
        """Until it is a member of its group: the next one is only stopped then."""
        began = time.monotonic()
        while time.monotonic() - began < MEMBER_S:
            instance = scene.processes.instance(heir)
            if any(owner.instance == instance and owner.partitions for owner in await scene.log.owners()):
                return
            await asyncio.sleep(0.1)
