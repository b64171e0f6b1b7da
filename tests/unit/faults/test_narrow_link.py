"""narrow_link: so many bytes a second, and not one is lost."""

import asyncio
import os
import time

from simulator.faults.narrow_link import NarrowLink
from tests.support.link import link, striking
from tests.support.wait import wait_until


async def test_a_message_takes_the_time_of_its_bytes() -> None:
    """20,000 bytes at 50,000 a second take 0.4 s, and arrive as they were sent."""
    body = os.urandom(20_000)
    async with link() as here, striking(NarrowLink(bytes_per_s=50_000, of="requests"), here.scene) as strike:
        began = time.monotonic()
        assert (await here.post(body)).status == 201
        assert 0.4 < time.monotonic() - began < 2.0
        assert here.gateway.received == [body]
        (hit,) = strike.hits
        assert hit["bytes"] > len(body)
        assert hit["took_ms"] >= 400.0


async def test_small_messages_are_narrowed_too() -> None:
    """Answers come through as they are, one after the other, on one connection."""
    async with link() as here, striking(NarrowLink(bytes_per_s=2_000), here.scene) as strike:
        answers = [await here.post(b"pay") for _ in range(2)]
        assert [answer.body for answer in answers] == [b'{"id":"answer 1"}', b'{"id":"answer 2"}']
        assert {hit["of"] for hit in strike.hits} == {"request", "response"}
        assert all(hit["took_ms"] >= hit["bytes"] / 2.0 - 2.0 for hit in strike.hits), (
            strike.hits
        )  # a timer has its grain


async def test_what_is_on_its_way_arrives_when_the_fault_is_cancelled() -> None:
    """The rest of a message goes on at once and whole, what was read and what was not."""
    body = os.urandom(200_000)  # more than one read
    async with link() as here, striking(NarrowLink(bytes_per_s=1_000), here.scene) as strike:
        asking = asyncio.create_task(here.post(body))
        await wait_until(lambda: here.proxy.exchanges_begun, timeout_s=2.0, message="the request did not begin")
        await strike.cancel()
        assert strike.injection.hits == 1
        assert (await asking).status == 201
        assert here.gateway.received == [body]
