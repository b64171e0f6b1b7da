"""The group's offsets are moved back, and commands that were done long ago are delivered again.

Copies an operator's `kafka-consumer-groups --reset-offsets`, a restored backup, a group that expired: to the
processor all of them look like this. The processor is stopped, somebody else commits older offsets for its
partitions (in a transaction, which asks for no membership), it is killed, and whoever takes over begins where
the group says. It bit where answers to the redelivered commands appear on the log once more.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.kill_processor import bury, choose_processor
from simulator.faults.midwork import command_ids, frozen
from simulator.log_watch import Spot

PROOF_S = 15.0


class RewindOffsets(Fault):
    fault: Literal["rewind_offsets"] = "rewind_offsets"
    cadence: ClassVar = Cadence(first_s=8.5, every_s=9.0, share=0.55)
    disturbs: ClassVar = "processors"

    least: Annotated[int, Field(ge=1, le=100_000, description="Commands of each partition, at least.")] = 8
    most: Annotated[int, Field(ge=1, le=100_000, description="Commands of each partition, at most.")] = 24

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.least > self.most:
            raise ValueError("`least` is more than `most`")
        return self

    async def inject(self, scene: Scene, injection: Injection) -> None:
        victim, owner = await choose_processor(scene, injection)
        async with frozen(scene, victim):
            ranges = await self._choose_ranges(scene, injection, owner.partitions)
            if not ranges:
                injection.found["reason"] = "there was no command to deliver again"
                return
            ends = await scene.log.ends(scene.log.spots("replies", partitions=ranges))
            await scene.log.move_group_offsets({partition: start for partition, (start, _) in ranges.items()})
            await bury(scene, victim, owner)
        count = sum(end - start for start, end in ranges.values())
        scene.say(f"moved the group's offsets back by {count} commands and killed processor {victim.index}")
        await _await_redelivery(scene, injection, ranges, ends)

    async def _choose_ranges(
        self, scene: Scene, injection: Injection, partitions: Sequence[int]
    ) -> dict[int, tuple[int, int]]:
        """For each partition [to, from): where its offset will be, and where it was."""
        spots = scene.log.spots("commands", partitions=partitions)
        offsets, starts = await asyncio.gather(scene.log.group_offsets(), scene.log.starts(spots))
        ranges = {}
        for partition in sorted(partitions):
            back = injection.rng.randint(self.least, self.most)
            to = max(starts["commands", partition], offsets[partition] - back)
            if to < offsets[partition]:
                ranges[partition] = (to, offsets[partition])
        return ranges


async def _await_redelivery(
    scene: Scene, injection: Injection, ranges: Mapping[int, tuple[int, int]], since: Mapping[Spot, int]
) -> None:
    """A hit for each partition, as soon as a reply to one of its redelivered commands is on the log again."""
    redelivered = await scene.log.read({("commands", p): bounds for p, bounds in ranges.items()})
    pending = set(ranges)
    deadline = time.monotonic() + PROOF_S
    while pending and time.monotonic() < deadline:
        spots = scene.log.spots("replies", partitions=sorted(pending))
        ends = await scene.log.stable_ends(spots)
        replies = await scene.log.read({spot: (since[spot], ends[spot]) for spot in spots}, committed=True)
        for _, partition in spots:
            asked = command_ids({("commands", partition): redelivered[("commands", partition)]}, "commands")
            answered = command_ids({("replies", partition): replies[("replies", partition)]}, "replies")
            if again := asked & answered:
                to, frm = ranges[partition]
                injection.hit(**{"partition": partition, "from": frm, "to": to, "answered_again": len(again)})
                pending.discard(partition)
        await asyncio.sleep(0.2)
    if pending:
        injection.found["not_redelivered"] = sorted(pending)
