"""The ledger is killed: SIGKILL, whatever database transaction it is in.

Its position stands in the same transaction as its entries, so nothing is booked twice or left out.
"""

from typing import ClassVar, Literal

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.processes import kill


class KillLedger(Fault):
    fault: Literal["kill_ledger"] = "kill_ledger"
    cadence: ClassVar = Cadence(first_s=6.0, every_s=10.0, share=0.3)
    disturbs: ClassVar = "ledger"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        await kill(scene, injection, "ledger")
