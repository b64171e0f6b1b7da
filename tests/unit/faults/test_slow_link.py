"""slow_link: late, and never lost."""

import asyncio
import time

import pytest

from simulator.faults.lose_response import LoseResponse
from simulator.faults.slow_link import SlowLink
from simulator.workload.http_client import OutcomeUnknownError
from tests.support.link import link, striking
from tests.support.wait import wait_until


async def test_request_and_answer_each_come_later() -> None:
    """Both ways cost the latency, the connection stays, and each late message is a hit that says by how much."""
    async with link() as here, striking(SlowLink(latency="60ms", jitter="10ms"), here.scene) as strike:
        began = time.monotonic()
        answers = [await here.post(b"pay %d" % n) for n in range(2)]
        assert time.monotonic() - began > 4 * 0.05
        assert [answer.status for answer in answers] == [201, 201]
        assert here.gateway.received == [b"pay 0", b"pay 1"]
        assert [hit["of"] for hit in strike.hits] == ["request", "response"] * 2
        assert all(hit["delay_ms"] >= 49.0 for hit in strike.hits), strike.hits


async def test_one_direction_only() -> None:
    """`of` says which messages are late; the others are not asked for."""
    async with link() as here, striking(SlowLink(latency="20ms", of="answers"), here.scene) as strike:
        assert (await here.post(b"pay")).status == 201
        assert [hit["of"] for hit in strike.hits] == ["response"]


@pytest.mark.parametrize("ending", ["cancelled", "quiet"])
async def test_what_is_on_its_way_arrives_when_the_fault_ends(ending: str) -> None:
    """A delay must never turn into a loss: held bytes go on at once, cancelled or not, before the fault has ended."""
    async with link() as here, striking(SlowLink(latency="30s", jitter="0"), here.scene) as strike:
        asking = asyncio.create_task(here.post(b"pay"))
        await wait_until(lambda: here.proxy.exchanges_begun, timeout_s=2.0, message="the request did not begin")
        assert strike.hits == []
        if ending == "cancelled":
            await strike.cancel()
        else:
            here.scene.quiet.set()
            await strike.task
        assert len(strike.hits) == 1
        assert (await asking).status == 201
        assert here.gateway.received == [b"pay"]


async def test_a_customer_without_patience_has_paid_all_the_same() -> None:
    """The request arrives although its customer is gone by then, as on a real line."""
    async with link() as here, striking(SlowLink(latency="150ms", jitter="0"), here.scene):
        with pytest.raises(OutcomeUnknownError, match="no answer within 50 ms"):
            await here.post(b"pay", patience_ms=50.0)
        assert here.gateway.received == []
        await wait_until(lambda: here.gateway.received, timeout_s=2.0, message="the late request was lost")


async def test_an_answer_that_nobody_waits_for_is_held_no_longer() -> None:
    """Its customer has gone: the proxy keeps neither bytes nor a timer."""
    async with link() as here, striking(SlowLink(latency="30s", of="answers"), here.scene) as strike:
        with pytest.raises(OutcomeUnknownError):
            await here.post(b"pay", patience_ms=50.0)
        await wait_until(lambda: strike.hits, timeout_s=2.0, message="the answer is still held")
        await wait_until(lambda: not here.proxy.conversations, timeout_s=2.0, message="a conversation is left")


async def test_it_goes_with_other_faults() -> None:
    """A late answer can still be lost by another fault on the same link."""
    slow, lose = SlowLink(latency="20ms"), LoseResponse()
    async with link() as here, striking(slow, here.scene) as late, striking(lose, here.scene) as loss:
        with pytest.raises(OutcomeUnknownError):
            await here.post(b"pay")
        assert here.gateway.received == [b"pay"]
        assert (late.injection.hits, loss.injection.hits) == (2, 1)
