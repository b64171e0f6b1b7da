"""Planned strikes are carried out, told, and kept out of each other's way."""

import asyncio
from collections import Counter
from typing import Any, ClassVar

from events.guarantees import Guarantee
from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.plan import Strike
from simulator.faults.vandals import Vandals

NOBODY: Any = None  # the faults of this file touch nothing


class Bite(Fault):
    fault: str = "bite"
    cadence: ClassVar = Cadence(0.0, 1.0, 0.1)
    disturbs: ClassVar = "leg"
    running: ClassVar = 0

    async def inject(self, scene: Scene, injection: Injection) -> None:
        assert Bite.running == 0
        Bite.running += 1
        try:
            await asyncio.sleep(0.01)
            injection.hit(leg="left")
        finally:
            Bite.running -= 1


class Miss(Bite):
    fault: str = "miss"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        injection.found["reason"] = "too slow"


class Stumble(Bite):
    fault: str = "stumble"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        raise TimeoutError("nobody there")


class Forever(Bite):
    fault: str = "forever"
    disturbs: ClassVar = ""
    mended: ClassVar = False

    async def inject(self, scene: Scene, injection: Injection) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            Forever.mended = True


def vandals(quiet: asyncio.Event | None = None) -> tuple[Vandals, list[dict[str, Any]]]:
    history: list[dict[str, Any]] = []
    scene = Scene(Guarantee.EXACTLY_ONCE, NOBODY, (), NOBODY, lambda _: None, quiet=quiet or asyncio.Event())
    return Vandals(1, scene, history.append), history


def phases(history: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["fault"], line["phase"]) for line in history]


async def test_a_strike_is_told_from_begin_to_end() -> None:
    """Begin, each hit with its proof, and end are in the history, and counted."""
    gang, history = vandals()
    await gang.run([Strike(0.0, Bite(), 1, 0.0)])
    assert phases(history) == [("bite", "begin"), ("bite", "hit"), ("bite", "end")]
    assert history[1]["detail"] == {"leg": "left"}
    assert gang.injected == gang.bitten == Counter(bite=1)


async def test_faults_that_disturb_the_same_thing_never_overlap() -> None:
    """Two strikes at one moment come one after the other."""
    gang, history = vandals()
    await gang.run([Strike(0.0, Bite(), 1, 0.0), Strike(0.0, Bite(), 2, 0.0), Strike(0.0, Miss(), 1, 0.0)])
    assert gang.injected == Counter(bite=2, miss=1)
    assert Counter(phases(history))["bite", "end"] == 2


async def test_a_strike_that_misses_says_why_and_did_not_bite() -> None:
    """What was planned and hit nothing is visible as such."""
    gang, history = vandals()
    await gang.run([Strike(0.0, Miss(), 1, 0.0), Strike(0.0, Stumble(), 1, 0.0)])
    assert not gang.bitten
    reasons = {line["fault"]: line["detail"]["reason"] for line in history if line["phase"] == "end"}
    assert reasons == {"miss": "too slow", "stumble": "TimeoutError: nobody there"}


async def test_an_interrupted_fault_is_mended_and_told() -> None:
    """When the run is stopped, a fault that is on is undone and its end written down."""
    gang, history = vandals()
    running = asyncio.create_task(gang.run([Strike(0.0, Forever(), 1, 0.0)]))
    while not history:  # noqa: ASYNC110  the fault begins at the next turns of the loop
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert Forever.mended
    assert phases(history) == [("forever", "begin"), ("forever", "end")]


async def test_when_the_customers_have_gone_only_what_never_struck_still_strikes() -> None:
    """A fault that has struck has nothing more to prove on an empty system; one that has not must still
    bite.
    """
    quiet = asyncio.Event()
    gang, _ = vandals(quiet=quiet)
    running = asyncio.create_task(
        gang.run([Strike(0.0, Bite(), 1, 0.0), Strike(60.0, Bite(), 2, 0.0), Strike(60.0, Miss(), 1, 0.0)])
    )
    while not gang.bitten:  # noqa: ASYNC110  the fault bites at the next turns of the loop
        await asyncio.sleep(0)
    quiet.set()
    await running
    assert gang.injected == Counter(bite=1, miss=1)
