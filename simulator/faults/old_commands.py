"""Which commands a fault takes from the log to put them there again.

Out:     commands as records, of every partition; or of those partitions that have some.
Units:   offsets; instants in Unix milliseconds.
"""

import time
from collections.abc import Mapping

from aiokafka import ConsumerRecord

from simulator.faults.base import Injection, Scene
from simulator.log_watch import Spot

REACH = 2_000  # offsets looked at in each partition: a fault needs some, not all


async def some_commands(
    scene: Scene, injection: Injection, count: int, older_s: float | None
) -> dict[Spot, list[ConsumerRecord]]:
    """About `count` commands of all partitions, of those that are `older_s` or more; oldest first."""
    spots = scene.log.spots("commands")
    starts, ends = await scene.log.starts(spots), await scene.log.ends(spots)
    if older_s is not None:
        younger = await scene.log.offsets_at(spots, time.time_ns() // 1_000_000 - round(older_s * 1_000))
        ends = {spot: min(ends[spot], younger.get(spot, ends[spot])) for spot in spots}
    read = await scene.log.read({spot: (max(starts[spot], ends[spot] - REACH), ends[spot]) for spot in spots})
    return _choose(injection, read, count)


def _choose(
    injection: Injection, read: Mapping[Spot, list[ConsumerRecord]], count: int
) -> dict[Spot, list[ConsumerRecord]]:
    everything = [(spot, record) for spot in sorted(read) for record in read[spot]]
    chosen = injection.rng.sample(everything, min(count, len(everything)))
    found: dict[Spot, list[ConsumerRecord]] = {}
    for spot, record in sorted(chosen, key=lambda one: (one[0], one[1].offset)):
        found.setdefault(spot, []).append(record)
    return found
