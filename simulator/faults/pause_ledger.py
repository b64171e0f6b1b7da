"""The ledger stands still, as under a long garbage collection or on an overloaded machine.

Payments go on without it; a GET that must show them waits for it, two seconds at most, and is then told so.
"""

from typing import ClassVar, Literal

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.processes import stand_still


class PauseLedger(Fault):
    fault: Literal["pause_ledger"] = "pause_ledger"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=10.0, share=0.25, lasts_s=1.5)
    disturbs: ClassVar = "ledger"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        await stand_still(scene, injection, "ledger")
