"""The proxy before the gateways, on real sockets: what is lost, and what had happened all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from simulator.proxy.http import Direction, HttpLossProxy, Loss, Lost, Manner
from simulator.workload.http_client import Answer, HttpClient, NotSentError, OutcomeUnknownError


class Gateway:
    """A server that counts the requests that reached it and answers each with its number."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.received.append(await reader.readexactly(length))
                await self.may_answer.wait()
                body = b"answer %d" % len(self.received)
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body))
                await writer.drain()
                writer.write(body)  # apart from its head, as servers do
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def gateway_behind_proxy() -> AsyncIterator[tuple[Gateway, HttpLossProxy, HttpClient]]:
    gateway = Gateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    proxy = HttpLossProxy("gateway 0", *server.sockets[0].getsockname()[:2])
    client = HttpClient(*await proxy.start())
    try:
        yield gateway, proxy, client
    finally:
        client.close()
        await proxy.stop()
        gateway.may_answer.set()  # from Python 3.12 on, wait_closed waits for those who are still being served
        server.close()
        await server.wait_closed()


def lose_once(direction: Direction, manner: Manner, lost: list[Lost]) -> Loss:
    decisions = iter([manner])
    return Loss(direction, lambda: next(decisions, None), lost.append)


async def post(client: HttpClient, body: bytes, patience_ms: float = 2_000.0) -> Answer:
    return await client.request("POST", "/v1/charges", {}, body, patience_ms=patience_ms)


async def test_bytes_pass_both_ways_on_a_kept_connection() -> None:
    """Without losses every request arrives and every answer comes back, over one connection."""
    async with gateway_behind_proxy() as (gateway, _, client):
        answers = [await post(client, b"pay %d" % n) for n in range(3)]
        assert gateway.received == [b"pay 0", b"pay 1", b"pay 2"]
        assert [answer.body for answer in answers] == [b"answer 1", b"answer 2", b"answer 3"]
        assert [answer.status for answer in answers] == [201] * 3


async def test_a_lost_request_never_arrives() -> None:
    """A lost request's bytes never reach the gateway, and the customer sees a reset connection."""
    async with gateway_behind_proxy() as (gateway, proxy, client):
        lost: list[Lost] = []
        await post(client, b"before")
        proxy.add(lose_once("request", "reset", lost))
        with pytest.raises(OutcomeUnknownError):
            await post(client, b"lost")
        await post(client, b"after")
        assert gateway.received == [b"before", b"after"]
        assert [(one.gateway, one.direction, one.manner) for one in lost] == [("gateway 0", "request", "reset")]
        assert lost[0].bytes_lost > len(b"lost")


async def test_a_request_lost_in_silence_outlasts_the_customers_patience() -> None:
    """A request lost in silence leaves the connection open, and the customer gives up waiting."""
    async with gateway_behind_proxy() as (gateway, proxy, client):
        proxy.add(lose_once("request", "silence", []))
        with pytest.raises(OutcomeUnknownError, match="no answer within 150 ms"):
            await post(client, b"lost", patience_ms=150.0)
        assert gateway.received == []


async def test_a_lost_answer_had_been_given() -> None:
    """When the answer is lost the request had arrived and was answered, and the customer cannot know."""
    async with gateway_behind_proxy() as (gateway, proxy, client):
        lost: list[Lost] = []
        proxy.add(lose_once("response", "reset", lost))
        with pytest.raises(OutcomeUnknownError):
            await post(client, b"paid")
        assert gateway.received == [b"paid"]
        assert [one.direction for one in lost] == ["response"]
        assert (await post(client, b"paid")).body == b"answer 2"


async def test_a_removed_loss_loses_nothing() -> None:
    """A fault that was undone leaves no trace in the proxy."""
    async with gateway_behind_proxy() as (gateway, proxy, client):
        loss = Loss("request", lambda: "reset", lambda _: None)
        proxy.add(loss)
        proxy.remove(loss)
        await post(client, b"pay")
        assert gateway.received == [b"pay"]


async def test_a_gateway_that_is_gone_resets_the_customer() -> None:
    """The proxy accepts for a dead gateway, and the customer's outcome is unknown, not failed."""
    async with gateway_behind_proxy() as (_, proxy, client):
        proxy.port = 1  # nothing listens there
        with pytest.raises(OutcomeUnknownError):
            await post(client, b"pay")


async def test_a_customer_who_vanishes_has_paid_all_the_same() -> None:
    """A connection lost after the request was sent takes nothing back."""
    async with gateway_behind_proxy() as (gateway, _, client):
        gateway.may_answer.clear()
        with pytest.raises(OutcomeUnknownError, match="connection was lost"):
            await client.request("POST", "/", {}, b"pay", patience_ms=2_000.0, vanishes_after_ms=50.0)
        assert gateway.received == [b"pay"]


async def test_no_connection_means_not_sent() -> None:
    """A refused connection is told apart from a lost one: nothing can have happened."""
    with pytest.raises(NotSentError):
        await HttpClient("127.0.0.1", 1).request("POST", "/", {}, b"pay", patience_ms=500.0)
