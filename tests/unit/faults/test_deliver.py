"""deliver_twice, deliver_late: the same bytes once more, and the customer hears of one answer."""

import asyncio
import time

import pytest

from simulator.faults.base import Fault
from simulator.faults.deliver_late import DeliverLate
from simulator.faults.deliver_twice import DeliverTwice
from simulator.faults.lose_response import LoseResponse
from simulator.workload.http_client import OutcomeUnknownError
from tests.support.link import link, striking
from tests.support.wait import wait_until

CHARGE = b'{"amount":1000,"metadata":{"intent":"i-1"}}'


async def test_a_request_arrives_twice_and_its_customer_hears_once() -> None:
    """Byte for byte the same, on two connections; the hit tells which request it was and what the copy was answered."""
    async with link() as here, striking(DeliverTwice(share=0.0), here.scene) as strike:
        answer = await here.post(CHARGE, Idempotency_Key='"k-1"')
        await wait_until(lambda: strike.hits, timeout_s=2.0, message="the copy was not answered")
        assert len(here.gateway.raw) == 2
        assert len(set(here.gateway.raw)) == 1
        (hit,) = strike.hits
        assert (hit["intent"], hit["idempotency_key"], hit["request"]) == ("i-1", "k-1", "POST /v1/charges")
        assert (hit["gateway"], hit["status"], hit["replayed"]) == ("gateway 0", 201, False)
        assert {answer.body, b'{"id":"%s"}' % hit["made"].encode()} == {b'{"id":"answer 1"}', b'{"id":"answer 2"}'}
        assert hit["passed_at"] <= hit["sent_at"] <= hit["answered_at"]
        assert (await here.post(b"again")).status == 201
        assert len(here.gateway.received) == 3


async def test_a_copy_comes_again_after_the_answer_and_the_delay() -> None:
    """The customer was answered long before, on a connection that meanwhile is closed."""
    async with link() as here, striking(DeliverLate(delay="200ms", share=0.0), here.scene, lasts_s=0.1) as strike:
        began = time.monotonic()
        await here.post(CHARGE, Idempotency_Key='"k-1"')
        here.client.close()
        assert here.gateway.received == [CHARGE]
        await strike.task  # it waits for its copies
        assert time.monotonic() - began > 0.2
        assert here.gateway.raw[0] == here.gateway.raw[1]
        (hit,) = strike.hits
        assert 199 <= hit["sent_at"] - hit["passed_at"] < 3_000
        assert (hit["intent"], hit["status"], hit["made"]) == ("i-1", 201, "answer 2")
        assert here.proxy.toxics == ()


@pytest.mark.parametrize(
    "fault", [DeliverTwice(share=1.0), DeliverLate(delay="40s", share=1.0)], ids=lambda fault: fault.name
)
async def test_nothing_is_copied_afterwards(fault: Fault) -> None:
    """Cancelled, it recalls copies that have not left and copies nothing more."""
    async with link() as here:
        async with striking(fault, here.scene) as strike:
            await here.post(CHARGE)
            await strike.cancel()
        arrived = 1 + strike.injection.hits
        await wait_until(lambda: len(here.gateway.received) == arrived, timeout_s=2.0, message="a copy is missing")
        for _ in range(5):
            await here.post(CHARGE)
        assert len(here.gateway.received) == arrived + 5


async def test_a_copy_that_left_before_the_fault_was_cancelled_is_told() -> None:
    """It arrived, though nobody knows what became of it: the history must not keep it back."""
    async with link() as here, striking(DeliverTwice(), here.scene) as strike:
        here.gateway.may_answer.clear()
        asking = asyncio.create_task(here.post(CHARGE))
        await wait_until(lambda: len(here.gateway.received) == 2, timeout_s=2.0, message="the copy did not arrive")
        await strike.cancel()
        assert [(hit["intent"], hit["status"], hit["answered_at"]) for hit in strike.hits] == [("i-1", None, None)]
        here.gateway.may_answer.set()
        assert (await asking).status == 201


async def test_a_copy_that_finds_no_gateway_is_no_hit() -> None:
    """Nothing was delivered, so nothing bit."""
    async with link() as here, striking(DeliverLate(delay="10ms"), here.scene, lasts_s=0.2) as strike:
        await here.post(CHARGE)
        here.proxy.port = 1  # nothing listens there
        await strike.task
        assert strike.injection.hits == 0


async def test_a_copy_whose_answer_was_lost_comes_all_the_same() -> None:
    """Two faults on one link: the customer never got the answer, and the request arrives again."""
    async with link() as here, striking(DeliverTwice(), here.scene) as twice, striking(LoseResponse(), here.scene):
        with pytest.raises(OutcomeUnknownError):
            await here.post(CHARGE)
        await wait_until(lambda: twice.hits, timeout_s=2.0, message="the copy was not answered")
        assert here.gateway.received == [CHARGE, CHARGE]


async def test_only_what_charges_is_copied() -> None:
    """A GET that comes twice is nothing to anybody."""
    async with link() as here, striking(DeliverTwice(share=1.0), here.scene) as strike:
        await here.client.request("GET", "/v1/balance", {}, patience_ms=2_000.0)
        await here.post(CHARGE)
        await wait_until(lambda: strike.hits, timeout_s=2.0, message="the copy was not answered")
        assert len(here.gateway.raw) == 3
        assert [hit["request"] for hit in strike.hits] == ["POST /v1/charges"]


async def test_no_more_are_kept_than_asked_for() -> None:
    """`most` bounds what waits for its time."""
    async with link() as here, striking(DeliverLate(delay="40s", share=1.0, most=2), here.scene) as strike:
        for _ in range(4):
            await here.post(CHARGE)
        assert strike.injection.hits == 0
        waiting = [task for task in asyncio.all_tasks() if "Copies._deliver" in str(task.get_coro())]
        assert len(waiting) == 2


def test_a_copy_is_not_kept_for_ever() -> None:
    """A strike has to end, so a longer delay is refused in one clause."""
    with pytest.raises(ValueError, match="a copy is kept for 45s at most"):
        DeliverLate(delay="46s")
