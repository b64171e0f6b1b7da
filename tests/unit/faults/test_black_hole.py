"""black_hole: everything vanishes, and nothing comes back."""

import asyncio

import pytest

from simulator.faults.black_hole import BlackHole
from simulator.workload.http_client import OutcomeUnknownError
from tests.support.link import link, striking
from tests.support.wait import wait_until


async def test_connections_are_accepted_and_lead_nowhere() -> None:
    """Kept and new connections alike: the customer waits in vain, and the gateway hears nothing."""
    async with link() as here:
        await here.post(b"before")
        async with striking(BlackHole(), here.scene) as strike:
            for _ in range(2):
                with pytest.raises(OutcomeUnknownError, match="no answer within 100 ms"):
                    await here.post(b"swallowed", patience_ms=100.0)
            assert here.gateway.received == [b"before"]
            assert [(hit["of"], hit["manner"]) for hit in strike.hits] == [("request", "silence")] * 2


async def test_what_was_under_way_arrives_and_its_answer_does_not() -> None:
    """A payment that the gateway is working on happens, and nobody is told."""
    async with link() as here:
        here.gateway.may_answer.clear()
        asking = asyncio.create_task(here.post(b"pay", patience_ms=300.0))
        await wait_until(lambda: here.gateway.received, timeout_s=2.0, message="the request did not arrive")
        async with striking(BlackHole(gateways="all"), here.scene) as strike:
            here.gateway.may_answer.set()
            with pytest.raises(OutcomeUnknownError, match="no answer"):
                await asking
            assert [hit["of"] for hit in strike.hits] == ["response"]


async def test_its_connections_are_reset_when_it_ends() -> None:
    """Bytes are missing on them: they cannot go on, and nobody waits for them any longer."""
    async with link() as here, striking(BlackHole(), here.scene) as strike:
        asking = asyncio.create_task(here.post(b"pay", patience_ms=20_000.0))
        await wait_until(lambda: strike.hits, timeout_s=2.0, message="it swallowed nothing")
        await strike.cancel()
        with pytest.raises(OutcomeUnknownError, match="reset"):
            await asking
        assert (await here.post(b"after")).status == 201
        assert here.gateway.received == [b"after"]
