"""A gateway stands still: it accepts connections (the kernel does) and answers nobody.

Copies a long pause of a runtime or a stolen virtual processor. Customers lose patience; what it had already sent is on
the log.
"""

from typing import ClassVar, Literal

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.processes import stand_still


class PauseGateway(Fault):
    fault: Literal["pause_gateway"] = "pause_gateway"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=12.0, share=0.3, lasts_s=2.0)
    disturbs: ClassVar = "gateway"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        await stand_still(scene, injection, "gateway")
