"""A gateway is killed while customers wait for its answers: SIGKILL, no flush, no farewell.

Copies a pod that runs out of memory. Its customers see a reset; their commands may have been appended or not, and
only the log knows.
"""

from typing import ClassVar, Literal

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.processes import kill


class KillGateway(Fault):
    fault: Literal["kill_gateway"] = "kill_gateway"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=10.0, share=0.25)
    disturbs: ClassVar = "gateway"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        await kill(scene, injection, "gateway")
