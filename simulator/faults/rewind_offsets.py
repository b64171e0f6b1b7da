"""The group's offsets are moved back, and commands that were done long ago are delivered again.

Copies an operator's `kafka-consumer-groups --reset-offsets`, a restored backup, a group that expired: to the
processor all of them look like this. `active`: a processor is stopped, somebody else commits older offsets for its
partitions (in a transaction, which asks for no membership), it is killed, and whoever takes over begins where the
group says. `idle`: all processors are stopped until the group has missed them, the offsets of all partitions are
reset as the tool does it, and the processors go on. With `older` it goes back before the commands of that age: past
the life of their keys, if the window is shorter. It bit where answers to redelivered commands appear once more.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from simulator.durations import Seconds
from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.kill_processor import bury, choose_processor
from simulator.faults.midwork import command_ids, frozen
from simulator.log_hands import move_group_offsets, reset_idle_group
from simulator.log_watch import Spot

PROOF_S = 20.0
MISSED_S = 20.0  # the session time-out is 6 s


class RewindOffsets(Fault):
    fault: Literal["rewind_offsets"] = "rewind_offsets"
    cadence: ClassVar = Cadence(first_s=8.5, every_s=9.0, share=0.55)
    disturbs: ClassVar = "processor"

    group: Annotated[Literal["active", "idle"], Field(description="While it works, or while nobody does.")] = "active"
    least: Annotated[int, Field(ge=1, le=100_000, description="Commands of each partition, at least.")] = 8
    most: Annotated[int, Field(ge=1, le=100_000, description="Commands of each partition, at most.")] = 24
    older: Annotated[Seconds | None, Field(description="Back to before the commands of this age.")] = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.least > self.most:
            raise ValueError("`least` is more than `most`")
        return self

    async def inject(self, scene: Scene, injection: Injection) -> None:
        moved = await (self._rewind_idle if self.group == "idle" else self._rewind_active)(scene, injection)
        if moved:
            await _await_redelivery(scene, injection, *moved)

    async def _rewind_active(self, scene: Scene, injection: Injection) -> "Moved | None":
        victim, owner = await choose_processor(scene, injection)
        async with frozen(scene, victim):
            ranges = await self._choose_ranges(scene, injection, owner.partitions)
            if not ranges:
                return None
            ends = await scene.log.ends(scene.log.spots("replies", partitions=ranges))
            await move_group_offsets(scene.log, {partition: start for partition, (start, _) in ranges.items()})
            await bury(scene, victim, owner)
        scene.say(f"moved the group's offsets back by {_count(ranges)} commands and killed processor {victim.index}")
        return ranges, ends

    async def _rewind_idle(self, scene: Scene, injection: Injection) -> "Moved | None":
        async with _asleep(scene):
            began = time.monotonic()
            while not await scene.log.is_empty():
                if time.monotonic() - began > MISSED_S:
                    injection.found["reason"] = f"the group still had members after {MISSED_S:g} s"
                    return None
                await asyncio.sleep(0.1)
            ranges = await self._choose_ranges(scene, injection, list(scene.log.partitions))
            if not ranges:
                return None
            ends = await scene.log.ends(scene.log.spots("replies", partitions=ranges))
            await reset_idle_group(scene.log, {partition: start for partition, (start, _) in ranges.items()})
        scene.say(f"reset the idle group's offsets by {_count(ranges)} commands")
        return ranges, ends

    async def _choose_ranges(
        self, scene: Scene, injection: Injection, partitions: Sequence[int]
    ) -> dict[int, tuple[int, int]]:
        """For each partition [to, from): where its offset will be, and where it was."""
        spots = scene.log.spots("commands", partitions=partitions)
        offsets, starts = await asyncio.gather(scene.log.group_offsets(), scene.log.starts(spots))
        before: Mapping[Spot, int] = {}
        if self.older is not None:
            before = await scene.log.offsets_at(spots, time.time_ns() // 1_000_000 - round(self.older * 1_000))
        ranges = {}
        for partition in sorted(partitions):
            spot = ("commands", partition)
            back = injection.rng.randint(self.least, self.most)
            to = max(starts[spot], min(offsets[partition], before.get(spot, offsets[partition])) - back)
            if to < offsets[partition]:
                ranges[partition] = (to, offsets[partition])
        if not ranges:
            injection.found["reason"] = "there was no command to deliver again"
        return ranges


Moved = tuple[dict[int, tuple[int, int]], dict[Spot, int]]


def _count(ranges: Mapping[int, tuple[int, int]]) -> int:
    return sum(end - start for start, end in ranges.values())


@asynccontextmanager
async def _asleep(scene: Scene) -> AsyncIterator[None]:
    """Every processor stands still inside."""
    victims = scene.processes.running("processor")
    try:
        for victim in victims:
            scene.processes.signal(victim, signal.SIGSTOP)
        yield
    finally:
        for victim in victims:
            with suppress(ProcessLookupError):
                scene.processes.signal(victim, signal.SIGCONT)


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
