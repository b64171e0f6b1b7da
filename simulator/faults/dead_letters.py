"""Whether records that nobody may execute became dead letters: what the faults that append them prove themselves by.

Source:  CONTRACT, `dead-letters`: headers topic, partition and offset are a dead letter's identity.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from aiokafka import ConsumerRecord

from simulator.faults.base import Injection, Scene
from simulator.log_hands import Parcel, append
from simulator.log_watch import Spot

WITHIN_S = 25.0  # a take-over may be in the way


async def append_and_await_dead_letters(scene: Scene, injection: Injection, parcels: Sequence[Parcel]) -> None:
    """A hit for each partition, with how many of the records were dead-lettered."""
    spots = scene.log.spots("dead-letters")
    since = await scene.log.ends(spots)
    pending = {(spot[1], offset) for spot, offset in await append(scene.log, parcels)}
    found: dict[int, int] = {}
    began = time.monotonic()
    while pending and time.monotonic() - began < WITHIN_S:
        ends = await scene.log.stable_ends(spots)
        read = await scene.log.read({spot: (since[spot], ends[spot]) for spot in spots}, committed=True)
        for identity in identities(read) & pending:
            pending.discard(identity)
            found[identity[0]] = found.get(identity[0], 0) + 1
        await asyncio.sleep(0.1)
    for partition, dead in sorted(found.items()):
        injection.hit(partition=partition, dead_letters=dead)
    if pending:
        injection.found["not_dead_lettered"] = sorted(map(list, pending))


def identities(read: Mapping[Spot, Sequence[ConsumerRecord]]) -> set[tuple[int, int]]:
    """Partition and offset of the commands that these dead letters were."""
    told = [dict(record.headers) for records in read.values() for record in records]
    return {(int(headers["partition"]), int(headers["offset"])) for headers in told if "offset" in headers}
