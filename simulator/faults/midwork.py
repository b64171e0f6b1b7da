"""What "in mid-work" means under each guarantee, read off the log while the processor stands still.

In:      what the log holds for one processor's partitions at this moment.
Out:     `Unfinished`: the work that a SIGKILL right now leaves half done, or None.
Units:   offsets.
Source:  DESIGN, "The ladder of guarantees": the order in which each guarantee writes.

The processor is stopped (SIGSTOP) while this looks, so that what is seen is what a SIGKILL leaves. Requests
it had already sent are given LANDING_S to land first.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from events.charge_events import CHARGE_EVENTS
from events.charge_events.base import Answers
from events.guarantees import Guarantee
from simulator.faults.base import Scene, Victim
from simulator.log_watch import LogWatch, Spot

LANDING_S = 0.05  # a request takes a millisecond or two on this machine; ten times that on a busy one
OUTPUTS = ("keys", "charges", "replies")
CHARGING = [kind.name for kind in CHARGE_EVENTS if kind.cause.begins and kind.answers is not Answers.DECLINE]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """`open`: records of an open Kafka transaction, by spot, as [last stable offset, end).

    `commands`: ids of commands that were done in part: what a restart repeats or loses.
    """

    moment: str
    open: Mapping[Spot, tuple[int, int]]
    commands: Collection[str]
    ends: Mapping[Spot, int]  # of the log, at this moment
    seen_as: Guarantee  # whose way of working it shows


@asynccontextmanager
async def frozen(scene: Scene, victim: Victim) -> AsyncIterator[None]:
    """The process stands still inside, and its requests have landed; it goes on afterwards if it still
    lives.
    """
    scene.processes.signal(victim, signal.SIGSTOP)
    try:
        await asyncio.sleep(LANDING_S)  # no condition can be asked of a process that stands still
        yield
    finally:
        with suppress(ProcessLookupError):
            scene.processes.signal(victim, signal.SIGCONT)


async def surely_unfinished(
    log: LogWatch, ways: Sequence[Guarantee], partitions: Sequence[int], since: Mapping[Spot, int]
) -> Unfinished | None:
    """Look twice: on a busy machine a request may take longer to land than the first look allowed."""
    for guarantee in ways:
        if await unfinished(log, guarantee, partitions, since) is not None:
            await asyncio.sleep(2 * LANDING_S)
            if (surely := await unfinished(log, guarantee, partitions, since)) is not None:
                return surely
    return None


async def unfinished(
    log: LogWatch, guarantee: Guarantee, partitions: Sequence[int], since: Mapping[Spot, int]
) -> Unfinished | None:
    """Look at the log of these partitions from `since` on; the owner must be standing still."""
    outputs = log.spots(*OUTPUTS, partitions=partitions)
    commands = log.spots("commands", partitions=partitions)
    if guarantee is Guarantee.EXACTLY_ONCE:
        stable, ends = await asyncio.gather(log.stable_ends(outputs), log.ends(outputs))
        open_ranges = {spot: (stable[spot], ends[spot]) for spot in outputs if stable[spot] < ends[spot]}
        return Unfinished("in mid-transaction", open_ranges, (), ends, guarantee) if open_ranges else None
    ends = await log.ends([*outputs, *commands])
    committed = await log.group_offsets()
    ranges = {spot: (since[spot], ends[spot]) for spot in outputs}
    if guarantee is Guarantee.AT_LEAST_ONCE:
        ranges |= {spot: (committed[spot[1]], ends[spot]) for spot in commands}
    elif guarantee is Guarantee.AT_MOST_ONCE:
        ranges |= {spot: (since[spot], committed[spot[1]]) for spot in commands}
    records = await log.read(ranges)
    moment, half_done = half_done_commands(guarantee, records)
    return Unfinished(moment, {}, half_done, ends, guarantee) if half_done else None


def half_done_commands(
    guarantee: Guarantee, records: Mapping[Spot, Sequence[ConsumerRecord]]
) -> tuple[str, frozenset[str]]:
    """Which commands were done in part. Of `commands` only those that make the difference may be among the
    records: those not committed yet under at-least-once, those committed under at-most-once.
    """
    done = {topic: command_ids(records, topic) for topic in ("commands", "keys", "replies")}
    # A second capture, void or refund is refused by the charge's state; only a new charge happens twice.
    charged = command_ids(records, "charges", CHARGING)
    match guarantee:
        case Guarantee.AT_LEAST_ONCE:
            return "between the charge and its offset", charged & done["commands"]
        case Guarantee.AT_MOST_ONCE:
            return "between the offset and the charge", done["commands"] - done["replies"]
        case Guarantee.DEDUPLICATED:
            return "between the charge and its key", charged - done["keys"]
        case _:
            raise ValueError(f"under {guarantee} open transactions show what is unfinished")


def command_ids(
    records: Mapping[Spot, Sequence[ConsumerRecord]], topic: str, types: Collection[str] = ()
) -> frozenset[str]:
    """The commands that the records of one topic speak of; with `types`, those of these types only."""
    values = (_decoded(record.value) for spot, some in records.items() if spot[0] == topic for record in some)
    return frozenset(
        value["command_id"]
        for value in values
        if isinstance(value.get("command_id"), str) and (not types or value.get("type") in types)
    )


def _decoded(value: bytes | None) -> dict[str, Any]:
    try:
        decoded: Any = json.loads(value or b"null")
    except ValueError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
