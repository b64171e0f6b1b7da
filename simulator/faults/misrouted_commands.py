"""Commands are appended to a partition that is not theirs, or under a key that is not their merchant.

Copies a producer with another partitioner (librdkafka's default is not Java's murmur2). A merchant's payments are
ordered and deduplicated in one partition only, so a command anywhere else must never be executed: it becomes a dead
letter, without a reply.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.dead_letters import append_and_await_dead_letters
from simulator.faults.old_commands import some_commands
from simulator.log_hands import Parcel


class MisroutedCommands(Fault):
    fault: Literal["misrouted_commands"] = "misrouted_commands"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=9.0, share=0.35)

    count: Annotated[int, Field(ge=1, le=10_000, description="How many commands, of all partitions.")] = 12

    async def inject(self, scene: Scene, injection: Injection) -> None:
        found = await some_commands(scene, injection, self.count, None)
        partitions = len(scene.log.partitions)
        parcels = []
        for (_, partition), records in found.items():
            for record in records:
                elsewhere = (
                    (partition + injection.rng.randrange(1, partitions)) % partitions if partitions > 1 else None
                )
                if elsewhere is None or injection.rng.random() < 0.5:
                    parcels.append(Parcel(partition, b"somebody_else", record.value or b""))
                else:
                    parcels.append(Parcel(elsewhere, record.key, record.value or b""))
        if not parcels:
            injection.found["reason"] = "there was no command to misroute"
            return
        scene.say(f"appended {len(parcels)} misrouted commands")
        await append_and_await_dead_letters(scene, injection, parcels)
