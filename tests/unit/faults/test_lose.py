"""Losses of requests and responses, carried out in a proxy between a real client and a real server."""

import pytest

from simulator.faults.base import Fault
from simulator.faults.lose_request import LoseRequest
from simulator.faults.lose_response import LoseResponse
from simulator.workload.http_client import OutcomeUnknownError
from tests.support.link import link, striking


@pytest.mark.parametrize(("fault", "arrived"), [(LoseRequest(share=0.0), []), (LoseResponse(share=0.0), [b"pay"])])
async def test_the_first_one_that_passes_is_lost(fault: Fault, arrived: list[bytes]) -> None:
    """While a loss is on, it bites at once; a lost request has not arrived, a lost response was given."""
    async with link() as here, striking(fault, here.scene) as strike:
        with pytest.raises(OutcomeUnknownError):
            await here.post(b"pay", patience_ms=200.0)
        assert here.gateway.received == arrived
        assert strike.injection.hits == 1
        assert strike.hits[0]["gateway"] == "gateway 0"
        assert strike.hits[0]["bytes"] > 0
        assert (await here.post(b"again")).status == 201


@pytest.mark.parametrize("fault", [LoseRequest(share=1.0), LoseResponse(share=1.0)], ids=lambda fault: fault.name)
async def test_nothing_is_lost_afterwards(fault: Fault) -> None:
    """A loss that was cancelled loses nothing any more."""
    async with link() as here:
        async with striking(fault, here.scene) as strike:
            with pytest.raises(OutcomeUnknownError):
                await here.post(b"pay", patience_ms=200.0)
        for _ in range(20):
            assert (await here.post(b"pay")).status == 201
        assert strike.injection.hits == 1
        assert here.proxy.toxics == ()


async def test_a_request_lost_by_a_reset_ends_the_connection() -> None:
    """The customer notices at once, long before patience ends."""
    async with link() as here, striking(LoseRequest(silent=0.0), here.scene) as strike:
        with pytest.raises(OutcomeUnknownError, match="reset"):
            await here.post(b"pay")
        assert [hit["manner"] for hit in strike.hits] == ["reset"]


async def test_a_request_lost_in_silence_outlasts_the_customers_patience() -> None:
    """The connection stays open, and the customer gives up waiting, also when the fault has ended meanwhile."""
    async with link() as here:
        async with striking(LoseRequest(silent=1.0), here.scene) as strike:
            with pytest.raises(OutcomeUnknownError, match="no answer within 150 ms"):
                await here.post(b"pay", patience_ms=150.0)
        assert [hit["manner"] for hit in strike.hits] == ["silence"]
        assert here.gateway.received == []
