"""Commands that are on the log are appended once more, byte for byte.

Copies a producer without idempotence whose acknowledgement was lost, a mirror that copies twice, a load generator that
is run again. With `older`, commands of that age and more: past the life of their keys, if the window is shorter. It
bit when the processors have passed the copies.
"""

import asyncio
import time
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.durations import Seconds
from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.old_commands import some_commands
from simulator.log_hands import Parcel, append
from simulator.log_watch import Spot

PASSED_S = 25.0  # a take-over may be in the way


class DuplicateCommands(Fault):
    fault: Literal["duplicate_commands"] = "duplicate_commands"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=8.0, share=0.35)

    count: Annotated[int, Field(ge=1, le=10_000, description="How many commands, of all partitions.")] = 30
    older: Annotated[Seconds | None, Field(description="Only commands of this age and more.")] = None

    async def inject(self, scene: Scene, injection: Injection) -> None:
        found = await some_commands(scene, injection, self.count, self.older)
        parcels = [
            Parcel(spot[1], record.key, record.value or b"", record.headers)
            for spot, records in found.items()
            for record in records
        ]
        if not parcels:
            injection.found["reason"] = "there was no command to append again"
            return
        landed = await append(scene.log, parcels)
        scene.say(f"appended {len(parcels)} old commands again")
        ends: dict[Spot, int] = {}
        for spot, offset in landed:
            ends[spot] = max(ends.get(spot, 0), offset + 1)
        for spot, end in (await passed(scene, ends)).items():
            copies = [offset for where, offset in landed if where == spot]
            injection.hit(partition=spot[1], copies=len(copies), first=min(copies), end=end)


async def passed(scene: Scene, ends: dict[Spot, int]) -> dict[Spot, int]:
    """Those of these ends of `commands` that the group's offset has reached, in time."""
    began = time.monotonic()
    while True:
        offsets = await scene.log.group_offsets()
        reached = {spot: end for spot, end in ends.items() if offsets[spot[1]] >= end}
        if len(reached) == len(ends) or time.monotonic() - began > PASSED_S:
            return reached
        await asyncio.sleep(0.1)
