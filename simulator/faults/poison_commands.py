"""Records that are no commands are appended: broken JSON, other JSON, nothing at all.

Copies a producer of another version, a tool that writes to the wrong topic. Each must become a dead letter, and none
may stop its partition.
"""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.dead_letters import append_and_await_dead_letters
from simulator.log_hands import Parcel

POISON: Final = (
    b"",
    b"\xff\xfe not UTF-8",
    b'{"command_id": "unfinished',
    b"[]",
    b"null",
    b'{"type": "charge"}',
    b'{"command_id": 7, "merchant_id": null, "payload": []}',
)


class PoisonCommands(Fault):
    fault: Literal["poison_commands"] = "poison_commands"
    cadence: ClassVar = Cadence(first_s=4.0, every_s=9.0, share=0.3)

    count: Annotated[int, Field(ge=1, le=10_000, description="How many records, over all partitions.")] = 14

    async def inject(self, scene: Scene, injection: Injection) -> None:
        partitions = list(scene.log.partitions)
        parcels = [
            Parcel(injection.rng.choice(partitions), b"nobody", injection.rng.choice(POISON)) for _ in range(self.count)
        ]
        scene.say(f"appended {len(parcels)} records that are no commands")
        await append_and_await_dead_letters(scene, injection, parcels)
