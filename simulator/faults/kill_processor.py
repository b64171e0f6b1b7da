"""A processor is killed in mid-work: SIGKILL, no flush, no farewell.

Copies a machine that loses power at the worst moment, and makes sure that it is the worst one: the processor
is stopped as soon as new records appear, the log is read while it stands still, and only if it left something
half done (an open Kafka transaction; a charge whose offset is not committed) it is killed. Otherwise it goes
on and the next moment is tried. Afterwards the log must show what the death did: aborted records under
exactly-once, the same command executed twice under at-least-once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar, Literal

from aiokafka import AIOKafkaConsumer

from events.guarantees import Guarantee
from simulator.faults.base import Cadence, Fault, Injection, Scene, Victim
from simulator.faults.midwork import OUTPUTS, Unfinished, command_ids, frozen, surely_unfinished
from simulator.log_watch import Owner

LOOKS_MAX = 60  # each costs the customers of one processor about a tenth of a second
HUNT_S = 8.0
PROOF_S = 12.0  # a dead member is missed after 6 s at the latest, then another one takes over
WHOLE_S = 25.0  # until a killed processor is a member again, on a busy machine
REPEATS_MAX = 3


class KillProcessor(Fault):
    fault: Literal["kill_processor"] = "kill_processor"
    cadence: ClassVar = Cadence(first_s=4.0, every_s=9.0, share=0.2)
    disturbs: ClassVar = "processor"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        for _ in range(REPEATS_MAX):
            victim, owner = await choose_processor(scene, injection)
            caught = await hunt(scene, injection, victim, owner, partial(_bury_caught, scene, victim, owner))
            if caught is None:
                return
            scene.say(f"killed processor {victim.index} {caught.moment}")
            proof = await proof_of(scene, caught)
            if proof:
                injection.hit(process=f"processor {victim.index}", pid=victim.pid, moment=caught.moment, **proof)
                return


async def _bury_caught(scene: Scene, victim: Victim, owner: Owner, _: Unfinished) -> None:
    await bury(scene, victim, owner)


async def hunt(
    scene: Scene,
    injection: Injection,
    victim: Victim,
    owner: Owner,
    strike: Callable[[Unfinished], Awaitable[None]],
) -> Unfinished | None:
    """Stop the victim at moments when it writes, and strike while it stands still with work half done."""
    partitions = owner.partitions
    since = await scene.log.ends(scene.log.spots("commands", *OUTPUTS, partitions=partitions))
    tail = await scene.log.tail(scene.log.spots("charges", partitions=partitions))
    deadline = time.monotonic() + HUNT_S
    try:
        for look in range(1, LOOKS_MAX + 1):
            if not await _something_new(scene, tail, deadline):
                break
            async with frozen(scene, victim):
                caught = await surely_unfinished(scene.log, scene.ways_to_work, partitions, since)
                if caught is not None:
                    injection.found["looks"] = look
                    await strike(caught)
                    return caught
    finally:
        await tail.stop()
    injection.found["reason"] = "no unfinished work was seen"
    return None


async def choose_processor(scene: Scene, injection: Injection) -> tuple[Victim, Owner]:
    """A running processor that owns partitions, once every running one is a member in its present life."""
    async with asyncio.timeout(WHOLE_S):
        while True:
            living = {o.instance: o for o in await scene.log.owners() if o.member_id not in scene.buried}
            running = scene.processes.running("processor")
            found = [(victim, living.get(scene.processes.instance(victim))) for victim in running]
            owning = [(victim, owner) for victim, owner in found if owner is not None and owner.partitions]
            if owning and all(owner is not None for _, owner in found):
                return injection.rng.choice(sorted(owning, key=lambda pair: pair[0].index))
            await asyncio.sleep(0.1)


async def bury(scene: Scene, victim: Victim, owner: Owner) -> None:
    """Kill, and remember the dead member: its group keeps it on its list until it is missed or evicted."""
    scene.buried.add(owner.member_id)
    await scene.processes.kill(victim)


async def _something_new(scene: Scene, tail: AIOKafkaConsumer, deadline: float) -> bool:
    while time.monotonic() < deadline and not scene.quiet.is_set():
        if await tail.getmany(timeout_ms=200):
            return True
    return False


async def proof_of(scene: Scene, caught: Unfinished) -> dict[str, int]:
    """What the log shows of the death, once somebody has taken over; empty when it shows nothing."""
    deadline = time.monotonic() + PROOF_S
    while time.monotonic() < deadline:
        if caught.seen_as is Guarantee.EXACTLY_ONCE:
            if aborted := await _aborted(scene, caught):
                return {"aborted_records": aborted}
        elif caught.seen_as is Guarantee.AT_MOST_ONCE:
            return {"commands_lost": len(caught.commands)}
        elif repeated := await _executed_again(scene, caught):
            return {"executed_twice": repeated}
        await asyncio.sleep(0.2)
    return {}


async def _aborted(scene: Scene, caught: Unfinished) -> int:
    """How many records of the open transaction no read_committed reader will ever see; 0 while it is open."""
    stable = await scene.log.stable_ends(list(caught.open))
    if any(stable[spot] < end for spot, (_, end) in caught.open.items()):
        return 0
    everything = await scene.log.read(caught.open)
    committed = await scene.log.read(caught.open, committed=True)
    return sum(len(everything[spot]) - len(committed[spot]) for spot in caught.open)


async def _executed_again(scene: Scene, caught: Unfinished) -> int:
    """How many of the half-done commands have another charge event above the log's end at the time of
    death.
    """
    charges = [spot for spot in caught.ends if spot[0] == "charges"]
    ends = await scene.log.ends(charges)
    again = await scene.log.read({spot: (caught.ends[spot], ends[spot]) for spot in charges})
    return len(command_ids(again, "charges") & frozenset(caught.commands))
