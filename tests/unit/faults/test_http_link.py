"""The faults of the HTTP link together: whatever stands there, a delay loses nothing and keeps the order."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.faults import FAULTS
from simulator.faults.base import Fault
from simulator.faults.deliver_twice import DeliverTwice
from simulator.faults.narrow_link import NarrowLink
from simulator.faults.slow_close import SlowClose
from simulator.faults.slow_link import SlowLink
from tests.support.link import Link, Striking, link, striking
from tests.support.wait import wait_until

HARMLESS = (
    SlowLink(latency="5ms", jitter="5ms"),
    SlowLink(latency="30s", of="requests"),
    NarrowLink(bytes_per_s=1_000_000),
    NarrowLink(bytes_per_s=100, of="answers"),
    SlowClose(delay="30s"),
    DeliverTwice(share=0.0),
)
sizes = st.lists(st.sampled_from([0, 1, 500, 70_000, 300_000]), min_size=1, max_size=3)


async def _ask(here: Link, bodies: list[bytes]) -> None:
    for body in bodies:
        assert (await here.post(body, patience_ms=20_000.0)).status == 201


async def _all_arrives(faults: list[Fault], bodies: list[bytes], cancel_after_ms: list[int]) -> None:
    async with link() as here, AsyncExitStack() as opened:
        strikes: list[Striking] = [await opened.enter_async_context(striking(fault, here.scene)) for fault in faults]
        asking = asyncio.create_task(_ask(here, bodies))
        for strike, after_ms in zip(strikes, cancel_after_ms, strict=False):
            await asyncio.sleep(after_ms / 1_000.0)
            await strike.cancel()
        await asking
        copies = sum(strike.injection.hits for strike in strikes if strike.injection.fault == "deliver_twice")
        expected = len(bodies) + copies
        await wait_until(lambda: len(here.gateway.received) >= expected, timeout_s=5.0, message="a copy is missing")
        assert len(here.gateway.received) == expected
        once = [body for number, body in enumerate(here.gateway.received) if body not in here.gateway.received[:number]]
        assert once == list(dict.fromkeys(bodies))


@given(
    st.lists(st.sampled_from(HARMLESS), min_size=1, max_size=4, unique_by=id),
    sizes,
    st.lists(st.integers(0, 30), min_size=4, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_delays_lose_nothing(faults: list[Fault], lengths: list[int], cancel_after_ms: list[int]) -> None:
    """Requests of any size arrive whole, in order and once (and once a copy), whenever each fault is cancelled."""
    bodies = [os.urandom(length) for length in lengths]
    asyncio.run(_all_arrives(list(faults), bodies, cancel_after_ms))


def test_what_stands_on_the_link_says_so() -> None:
    """A run puts proxies there only for faults that are `on_http`; any other would never bite."""
    for fault in FAULTS:
        stands_there = "standing_on" in vars(sys.modules[fault.__module__])
        assert fault.on_http == stands_there, fault
