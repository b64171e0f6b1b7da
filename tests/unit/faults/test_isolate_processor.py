"""isolate_processor: cut off at the very request that would finish its work, and mended when it is cancelled."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import cast

import pytest

from events.guarantees import Guarantee
from simulator.faults.base import Processes, Scene, Victim
from simulator.faults.isolate_processor import IsolateProcessor
from simulator.log_watch import LogWatch, Owner, Spot
from tests.support.frame_broker import FrameClient, broker_behind_proxy
from tests.support.victim import injection_of
from tests.support.wait import wait_until

INSTANCE = "1234abcd"
WRITER, OTHER = f"payonce-processor-{INSTANCE}-writer", "payonce-processor-5678abcd-writer"


class Processors:
    """Processes that nobody signals; only the first owns partitions."""

    def __init__(self, count: int) -> None:
        self._count = count

    def running(self, role: str) -> Sequence[Victim]:
        return [Victim(role, index, index) for index in range(self._count)]

    def instance(self, victim: Victim) -> str:
        return INSTANCE if victim.index == 0 else "5678abcd"


class QuietLog:
    """A log on which nothing happens, and a group that never misses anybody."""

    def spots(self, *topics: str, partitions: Iterable[int]) -> list[Spot]:
        return [(topic, partition) for topic in topics for partition in partitions]

    async def ends(self, spots: Sequence[Spot]) -> dict[Spot, int]:
        return dict.fromkeys(spots, 0)

    stable_ends = ends

    async def group_offsets(self) -> dict[int, int]:
        return {0: 0}

    async def read(self, ranges: Iterable[Spot]) -> dict[Spot, list[object]]:
        return {spot: [] for spot in ranges}

    async def owners(self) -> list[Owner]:
        return [Owner(INSTANCE, "m-0", (0,)), Owner("5678abcd", "m-1", ())]


@pytest.mark.parametrize(
    ("guarantee", "before", "finishing"),
    [
        (Guarantee.EXACTLY_ONCE, ["Produce", "TxnOffsetCommit"], "EndTxn"),
        (Guarantee.DEDUPLICATED, ["Produce"], "OffsetCommit"),
        (Guarantee.AT_LEAST_ONCE, ["Produce"], "OffsetCommit"),
        (Guarantee.AT_MOST_ONCE, ["OffsetCommit"], "Produce"),
    ],
)
async def test_it_is_cut_off_with_its_work_half_done(guarantee: Guarantee, before: list[str], finishing: str) -> None:
    """What came before has arrived, the finishing request has not; others go on, and a cancelled fault lets it go."""
    fault = IsolateProcessor()
    async with broker_behind_proxy() as (broker, proxy):
        broker.payload = bytes(6)
        scene = Scene(
            guarantee,
            cast("Processes", Processors(2)),
            (),
            cast("LogWatch", QuietLog()),
            lambda _: None,
            kafka=proxy,
        )
        victim, other = await FrameClient.connect(proxy, WRITER), await FrameClient.connect(proxy, OTHER)
        injection = injection_of(fault)
        strike = asyncio.create_task(fault.inject(scene, injection))
        await wait_until(lambda: proxy._rules, timeout_s=5, message="nobody was chosen")
        for name in before:
            await victim.ask(name)
        victim.send(finishing)
        await wait_until(lambda: proxy._conditions, timeout_s=5, message="nobody was cut off")
        await other.ask(finishing)
        assert [one.name for one in broker.arrived if one.client_id == WRITER] == before
        strike.cancel()
        await asyncio.gather(strike, return_exceptions=True)
        await victim.answer()
        assert (proxy._rules, proxy._conditions, injection.hits) == ([], [], 0)


async def test_nobody_is_cut_off_where_nobody_could_take_over() -> None:
    """It says so."""
    fault = IsolateProcessor()
    injection = injection_of(fault)
    processes = cast("Processes", Processors(1))
    scene = Scene(Guarantee.EXACTLY_ONCE, processes, (), cast("LogWatch", QuietLog()), lambda _: None)
    await fault.inject(scene, injection)
    assert injection.found == {"reason": "there was no other processor to take over"}
