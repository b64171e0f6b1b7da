"""reset_mid_body: half a request is no request, half an answer is no answer."""

import pytest

from simulator.faults.reset_mid_body import ResetMidBody
from simulator.workload.http_client import OutcomeUnknownError
from tests.support.link import link, striking
from tests.support.wait import wait_until


async def test_half_a_request_arrives() -> None:
    """The gateway gets the head and a part of the body, the customer a reset."""
    async with link() as here, striking(ResetMidBody(share=0.0, of="requests"), here.scene) as strike:
        with pytest.raises(OutcomeUnknownError, match="reset"):
            await here.post(b"0123456789")
        await wait_until(lambda: here.gateway.parts, timeout_s=2.0, message="nothing broke off at the gateway")
        (part,) = here.gateway.parts
        assert 0 < len(part) < 10
        assert b"0123456789".startswith(part)
        assert here.gateway.received == []
        assert [(hit["of"], hit["manner"]) for hit in strike.hits] == [("request", "reset")]
        assert (await here.post(b"again")).status == 201


async def test_half_an_answer_is_lost() -> None:
    """The request was answered; the customer gets some of it and a reset, and cannot know."""
    async with link() as here, striking(ResetMidBody(share=0.0, of="answers"), here.scene) as strike:
        with pytest.raises(OutcomeUnknownError, match="reset"):
            await here.post(b"pay")
        assert here.gateway.received == [b"pay"]
        assert [hit["of"] for hit in strike.hits] == ["response"]
        assert (await here.post(b"again")).status == 201


async def test_a_message_without_a_body_passes() -> None:
    """There is no middle to cut, so it was not hit."""
    async with link() as here, striking(ResetMidBody(share=1.0, of="requests"), here.scene) as strike:
        assert (await here.post(b"")).status == 201
        assert strike.injection.hits == 0


async def test_nothing_is_cut_afterwards() -> None:
    """Cancelled, it leaves no trace."""
    async with link() as here:
        async with striking(ResetMidBody(share=1.0), here.scene):
            with pytest.raises(OutcomeUnknownError):
                await here.post(b"pay")
        assert [(await here.post(b"pay")).status for _ in range(5)] == [201] * 5
