"""The broker stands still: connections stay open and nothing is answered.

Copies a disk that hangs. Nobody can tell it from a slow network: every request is in doubt until it goes on.
"""

from typing import ClassVar, Literal

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.processes import stand_still


class PauseBroker(Fault):
    fault: Literal["pause_broker"] = "pause_broker"
    cadence: ClassVar = Cadence(first_s=7.0, every_s=15.0, share=0.4, lasts_s=2.5)
    disturbs: ClassVar = "processor"  # who else is struck meanwhile could not be told from who only waits

    async def inject(self, scene: Scene, injection: Injection) -> None:
        await stand_still(scene, injection, "broker")
