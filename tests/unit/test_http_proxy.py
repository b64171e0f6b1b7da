"""The proxy before the gateways, on real sockets: bytes pass, toxics are asked, and nothing is left of them."""

import asyncio
import os

import pytest
import uvloop

from simulator.proxy.toxic import Closing, LetGo, Passage, Toxic, Treatment
from simulator.workload.http_client import HttpClient, NotSentError, OutcomeUnknownError
from tests.support.link import link
from tests.support.wait import wait_until


class Noting(Toxic):
    """Writes down what it is asked, and treats nothing."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str, int]] = []
        self.closed: list[str] = []

    def begins(self, passage: Passage) -> Treatment | None:
        self.begun.append((passage.gateway, passage.direction, passage.exchange))
        return None

    def closes(self, closing: Closing) -> LetGo | None:
        self.closed.append(closing.by)
        return None


class Stop(Treatment):
    """Holds everything until it is told to let go."""

    def __init__(self, passage: Passage, order: list[str], name: str) -> None:
        super().__init__(passage)
        self._held: list[bytes] | None = []
        self._order = order
        self._name = name
        passage.hold()

    def take(self, part: bytes) -> None:
        if self._held is None:
            self.passage.forward(part)
        else:
            self._held.append(part)

    def let_go(self) -> None:
        held, self._held = self._held, None
        for part in held or ():
            self.passage.forward(part)
        if held is not None:
            self._order.append(self._name)
            self.passage.go_on()


class Careless(Treatment):
    """Holds bytes and lets more be read."""

    def __init__(self, passage: Passage) -> None:
        super().__init__(passage)
        self.held = b""

    def take(self, part: bytes) -> None:
        self.held += part

    def let_go(self) -> None:
        self.passage.forward(self.held)
        self.held = b""


class CarelessOnce(Toxic):
    """With the first answer."""

    def __init__(self) -> None:
        self.treatment: Careless | None = None

    def begins(self, passage: Passage) -> Treatment | None:
        if passage.direction == "request" or self.treatment:
            return None
        self.treatment = Careless(passage)
        return self.treatment


class Stopping(Toxic):
    def __init__(self, order: list[str], name: str) -> None:
        self.order = order
        self.name = name
        self.asked = 0

    def begins(self, passage: Passage) -> Treatment | None:
        self.asked += 1
        return Stop(passage, self.order, self.name) if passage.direction == "request" else None


async def test_bytes_pass_both_ways_on_a_kept_connection() -> None:
    """Without toxics every request arrives and every answer comes back, over one connection."""
    async with link() as here:
        answers = [await here.post(b"pay %d" % n) for n in range(3)]
        assert here.gateway.received == [b"pay 0", b"pay 1", b"pay 2"]
        assert [answer.body for answer in answers] == [b'{"id":"answer %d"}' % n for n in (1, 2, 3)]
        assert [answer.status for answer in answers] == [201] * 3
        assert len(here.proxy.conversations) == 1


def test_bytes_pass_under_uvloop_too() -> None:
    """uvloop reads from a new connection although it was told not to: what comes so early waits for the gateway."""

    async def ask() -> list[bytes]:
        async with link() as here:
            for n in range(3):
                assert (await here.post(b"pay %d" % n)).status == 201
                here.client.close()  # each on a connection of its own
            return here.gateway.received

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(ask()) == [b"pay 0", b"pay 1", b"pay 2"]


async def test_a_toxic_is_asked_for_each_request_and_each_answer() -> None:
    """Once each, however many parts they come in; the two of one exchange have one number."""
    async with link() as here:
        toxic = Noting()
        here.proxy.add(toxic)
        for _ in range(2):
            await here.post(os.urandom(30_000))
        assert toxic.begun == [
            ("gateway 0", direction, exchange) for exchange in (1, 2) for direction in ("request", "response")
        ]
        here.client.close()
        await wait_until(lambda: toxic.closed, timeout_s=2.0, message="no connection was closed")
        assert toxic.closed == ["customer"]


async def test_what_was_removed_is_asked_no_more_and_holds_nothing() -> None:
    """A fault that was undone leaves no trace in the proxy: what it held arrives, whole and at once."""
    async with link() as here:
        toxic = Stopping([], "only")
        here.proxy.add(toxic)
        body = os.urandom(100_000)  # more than one read: the rest must wait in the sockets
        asking = asyncio.create_task(here.post(body))
        await wait_until(lambda: toxic.asked, timeout_s=2.0, message="it was not asked")
        assert here.gateway.received == []
        here.proxy.remove(toxic)
        assert (await asking).status == 201
        assert here.gateway.received == [body]
        await here.post(b"after")
        assert toxic.asked == 1


async def test_toxics_stand_one_behind_the_other() -> None:
    """The second is asked only for what the first one lets go."""
    async with link() as here:
        order: list[str] = []
        first, second = Stopping(order, "first"), Stopping(order, "second")
        here.proxy.add(first)
        here.proxy.add(second)
        asking = asyncio.create_task(here.post(b"pay"))
        await wait_until(lambda: first.asked, timeout_s=2.0, message="the first was not asked")
        assert second.asked == 0
        here.proxy.remove(first)
        assert second.asked == 1
        assert here.gateway.received == []
        here.proxy.remove(second)
        assert (await asking).status == 201
        assert order == ["first", "second"]
        assert here.gateway.received == [b"pay"]


async def test_what_was_removed_meanwhile_is_not_asked() -> None:
    """A message that an earlier toxic still held when the later one went meets the later one no more."""
    async with link() as here:
        first, second = Stopping([], "first"), Stopping([], "second")
        here.proxy.add(first)
        here.proxy.add(second)
        asking = asyncio.create_task(here.post(b"pay"))
        await wait_until(lambda: first.asked, timeout_s=2.0, message="the first was not asked")
        here.proxy.remove(second)
        here.proxy.remove(first)
        assert (await asking).status == 201
        assert second.asked == 0


async def test_a_message_comes_behind_the_one_before_it() -> None:
    """Who holds an answer while the next one begins lets go of it first: order is kept on every connection."""
    async with link() as here:
        toxic = CarelessOnce()
        here.proxy.add(toxic)
        reader, writer = await asyncio.open_connection(here.client.host, here.client.port)
        request = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
        writer.write(request)
        await wait_until(lambda: toxic.treatment and toxic.treatment.held, timeout_s=2.0, message="nothing is held")
        writer.write(request)
        received = await reader.readuntil(b"answer 2")
        assert received.index(b"answer 1") < received.index(b"answer 2")
        writer.close()


async def test_what_is_held_when_a_customer_is_gone_still_arrives() -> None:
    """A delay is no loss: the customer's reset comes behind the bytes that came before it."""
    async with link() as here:
        toxic = Stopping([], "only")
        here.proxy.add(toxic)
        with pytest.raises(OutcomeUnknownError):
            await here.post(b"pay", patience_ms=50.0)
        here.proxy.remove(toxic)
        await wait_until(lambda: here.gateway.received, timeout_s=2.0, message="the request was lost")
        assert here.gateway.received == [b"pay"]


async def test_stopping_the_proxy_ends_every_conversation() -> None:
    """Nobody is left waiting, whatever toxics hold."""
    async with link() as here:
        toxic = Stopping([], "only")
        here.proxy.add(toxic)
        asking = asyncio.create_task(here.post(b"pay"))
        await wait_until(lambda: toxic.asked, timeout_s=2.0, message="it was not asked")
        await here.proxy.stop()
        with pytest.raises(OutcomeUnknownError):
            await asking
        assert not here.proxy.conversations


async def test_a_customer_who_reads_slowly_holds_up_the_gateway() -> None:
    """Bytes that cannot be delivered wait at their sender, not in the proxy."""
    async with link() as here:
        await here.post(b"pay")
        (conversation,) = here.proxy.conversations
        gateway = conversation.gateway.transport
        assert gateway is not None
        conversation.customer.pause_writing()
        assert not gateway.is_reading()
        conversation.customer.resume_writing()
        assert gateway.is_reading()


async def test_a_gateway_that_is_gone_resets_the_customer() -> None:
    """The proxy accepts for a dead gateway, and the customer's outcome is unknown, not failed."""
    async with link() as here:
        here.proxy.port = 1  # nothing listens there
        with pytest.raises(OutcomeUnknownError):
            await here.post(b"pay")
        await wait_until(lambda: not here.proxy.conversations, timeout_s=2.0, message="a conversation is left")


async def test_a_gateway_that_dies_resets_its_customers() -> None:
    """A connection that the gateway loses is lost for the customer at the same time."""
    async with link() as here:
        here.gateway.may_answer.clear()
        asking = asyncio.create_task(here.post(b"pay"))
        await wait_until(lambda: here.gateway.received, timeout_s=2.0, message="the request did not arrive")
        for writer in here.gateway.writers:
            writer.transport.abort()
        with pytest.raises(OutcomeUnknownError):
            await asking


async def test_a_customer_who_vanishes_has_paid_all_the_same() -> None:
    """A connection lost after the request was sent takes nothing back."""
    async with link() as here:
        here.gateway.may_answer.clear()
        with pytest.raises(OutcomeUnknownError, match="connection was lost"):
            await here.client.request("POST", "/", {}, b"pay", patience_ms=2_000.0, vanishes_after_ms=50.0)
        assert here.gateway.received == [b"pay"]


async def test_no_connection_means_not_sent() -> None:
    """A refused connection is told apart from a lost one: nothing can have happened."""
    with pytest.raises(NotSentError):
        await HttpClient("127.0.0.1", 1).request("POST", "/", {}, b"pay", patience_ms=500.0)
