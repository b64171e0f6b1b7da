"""slow_close: who is left hears late that the other one has gone."""

import asyncio
import time

import pytest

from simulator.faults.lose_request import LoseRequest
from simulator.faults.slow_close import SlowClose
from simulator.workload.http_client import OutcomeUnknownError
from tests.support.link import link, striking
from tests.support.wait import wait_until


async def test_a_gateway_holds_the_connection_of_a_customer_who_left() -> None:
    """It is told only after the delay, and the hit says how long it took and who had gone."""
    async with link() as here, striking(SlowClose(delay="200ms"), here.scene) as strike:
        await here.post(b"pay")
        began = time.monotonic()
        here.client.close()
        await wait_until(lambda: here.gateway.left, timeout_s=2.0, message="the gateway was never told")
        assert time.monotonic() - began > 0.19
        (hit,) = strike.hits
        assert hit["by"] == "customer"
        assert hit["lingered_ms"] >= 199.0


async def test_a_customer_of_a_dead_gateway_goes_on_waiting() -> None:
    """The gateway has gone at once; its customer learns it after the delay."""
    async with link() as here, striking(SlowClose(delay="200ms"), here.scene) as strike:
        here.gateway.may_answer.clear()
        asking = asyncio.create_task(here.post(b"pay"))
        await wait_until(lambda: here.gateway.received, timeout_s=2.0, message="the request did not arrive")
        began = time.monotonic()
        for writer in here.gateway.writers:
            writer.transport.abort()
        with pytest.raises(OutcomeUnknownError):
            await asking
        assert time.monotonic() - began > 0.19
        assert [hit["by"] for hit in strike.hits] == ["gateway"]


async def test_what_is_sent_on_a_lingering_connection_goes_nowhere() -> None:
    """It can reach nobody, so no other fault may count it."""
    async with link() as here, striking(SlowClose(delay="300ms"), here.scene) as strike:
        await here.post(b"pay")
        (conversation,) = here.proxy.conversations
        for writer in here.gateway.writers:
            writer.transport.abort()
        await wait_until(lambda: conversation.ended, timeout_s=2.0, message="the proxy did not notice")
        async with striking(LoseRequest(), here.scene) as loss:
            with pytest.raises(OutcomeUnknownError):
                await here.post(b"lost")
            assert (strike.injection.hits, loss.injection.hits) == (1, 0)
        assert here.gateway.received == [b"pay"]


async def test_a_request_sent_before_its_customer_left_arrives_at_once() -> None:
    """The end is late, the bytes before it are not."""
    async with link() as here, striking(SlowClose(delay="30s"), here.scene):
        here.gateway.may_answer.clear()
        with pytest.raises(OutcomeUnknownError, match="connection was lost"):
            await here.client.request("POST", "/", {}, b"pay", patience_ms=2_000.0, vanishes_after_ms=20.0)
        await wait_until(lambda: here.gateway.received, timeout_s=2.0, message="the request was lost")
        assert here.gateway.left == 0


async def test_everything_closes_when_it_is_cancelled() -> None:
    """Nothing lingers afterwards, and what lingered till then has bitten."""
    async with link() as here, striking(SlowClose(delay="30s"), here.scene) as strike:
        await here.post(b"pay")
        here.client.close()
        (conversation,) = here.proxy.conversations
        await wait_until(lambda: conversation.ended, timeout_s=2.0, message="the proxy did not notice")
        assert here.gateway.left == 0
        await strike.cancel()
        assert strike.injection.hits == 1
        await wait_until(lambda: here.gateway.left, timeout_s=2.0, message="the gateway was never told")
        assert not here.proxy.conversations
