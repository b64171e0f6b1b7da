"""What a server with too much to do already makes of requests: POSTs are refused unseen, all else is as always."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from services.gateway import server, whole_post
from services.gateway.server import make_server
from services.gateway.turns import Turns
from services.starting import listening_socket

POST = b"POST /v1/charges HTTP/1.1\r\nhost: x\r\n"
WITH_BODY = POST + b"content-length: 2\r\n\r\n{}"
GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
BY_THE_APP = 204


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": BY_THE_APP, "headers": []})
    await send({"type": "http.response.body"})


class Served:
    """A server, whether it has too much to do, what it refused, and one connection to it."""

    def __init__(self) -> None:
        self.too_much = True
        self.refused: list[tuple[str, int]] = []
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self.address: tuple[str, int]

    async def ask(self, *parts: bytes) -> int:
        """The status of the answer to what is sent in these parts."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
        return await self.hear()

    async def hear(self) -> int:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        status, self.headers = int(head.split(" ")[1]), head.lower()
        length = self.headers.partition("content-length: ")[2].partition("\r\n")[0]
        self.body = await self.reader.readexactly(int(length or 0))
        return status


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served()
    serves = make_server(app, 1, lambda: served.too_much, lambda *refused: served.refused.append(refused), Turns())
    listener = listening_socket("127.0.0.1", 0)
    listener.listen()
    running = asyncio.create_task(serves.serve(sockets=[listener]))
    served.address = listener.getsockname()
    served.reader, served.writer = await asyncio.open_connection(*served.address)
    try:
        yield served
    finally:
        served.writer.close()
        serves.should_exit = True
        await running


async def test_a_post_is_refused_and_told_to_come_back() -> None:
    """A problem as any other, counted under its call, on a connection that can be used again."""
    async with serving() as served:
        assert await served.ask(WITH_BODY) == 503
        assert "retry-after: 1\r\n" in served.headers
        assert "content-type: application/problem+json\r\n" in served.headers
        assert orjson.loads(served.body)["code"] == "unavailable"
        assert served.refused == [("create_charge", 503)]
        served.too_much = False
        assert await served.ask(WITH_BODY) == BY_THE_APP
        assert len(served.refused) == 1


async def test_a_body_in_parts_is_read_to_its_end() -> None:
    """What is left of it would be taken for the next request."""
    async with serving() as served:
        chunked = POST + b"transfer-encoding: chunked\r\n\r\n"
        assert await served.ask(chunked, b"2\r\n{}\r\n", b"0\r\n\r\n") == 503
        assert await served.ask(GET) == BY_THE_APP


async def test_two_in_one_breath_are_two_refusals() -> None:
    """In their order, the connection unharmed."""
    async with serving() as served:
        assert await served.ask(WITH_BODY + WITH_BODY) == 503
        assert await served.hear() == 503
        assert await served.ask(GET) == BY_THE_APP


@pytest.mark.parametrize(
    "last",
    [WITH_BODY.replace(b"host: x", b"connection: close"), b"POST /v1/charges HTTP/1.0\r\n\r\n"],
)
async def test_who_wants_no_other_answer_has_the_connection_closed(last: bytes) -> None:
    """Asked for, or HTTP/1.0."""
    async with serving() as served:
        assert await served.ask(last) == 503
        assert await asyncio.wait_for(served.reader.read(), 10) == b""


@pytest.mark.parametrize(
    "request_",
    [GET, b"POST /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n", b"DELETE /v1/charges HTTP/1.1\r\nhost: x\r\n\r\n"],
)
async def test_whatever_is_no_payment_is_served(request_: bytes) -> None:
    """Reads and health cost little; 404 and 405 are as true as ever."""
    async with serving() as served:
        assert await served.ask(request_) == BY_THE_APP
        assert served.refused == []


async def test_who_waits_to_be_asked_for_the_body_is_not_left_waiting() -> None:
    """`Expect: 100-continue` goes the long way: a refusal comes after the body, and nobody would send it."""
    async with serving() as served:
        assert await served.ask(POST + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n") == BY_THE_APP


async def test_an_answer_under_way_comes_first() -> None:
    """A request behind another on one connection is not answered before it."""
    async with serving() as served:
        assert await served.ask(GET + WITH_BODY) == BY_THE_APP
        assert await served.hear() in (BY_THE_APP, 503)
        assert served.writer.transport.is_closing() is False


async def test_who_knocks_with_a_request_is_refused_at_the_door() -> None:
    """Once, before the connection has a protocol; what comes next over it is served."""
    async with serving() as served:
        knocking = socket.create_connection(served.address, timeout=10)
        knocking.sendall(WITH_BODY)  # without letting the server have a turn: it has come when the door is opened
        served.reader, served.writer = await asyncio.open_connection(sock=knocking)
        assert await served.hear() == 503
        assert "retry-after: 1\r\n" in served.headers
        assert served.refused == [("create_charge", 503)]
        assert await served.ask(GET) == BY_THE_APP


async def test_half_a_request_is_not_refused_at_the_door() -> None:
    """Its other half would be taken for the next one."""
    async with serving() as served:
        knocking = socket.create_connection(served.address, timeout=10)
        knocking.sendall(WITH_BODY[:-1])
        served.reader, served.writer = await asyncio.open_connection(sock=knocking)
        assert await served.ask(WITH_BODY[-1:]) == 503
        assert served.refused == [("create_charge", 503)]
        assert await served.ask(GET) == BY_THE_APP


async def test_who_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a request is kept as long as one between two, and no longer."""
    monkeypatch.setattr(server, "KEEP_ALIVE_S", 0.05)
    async with serving() as served:
        _, writer = served.reader, served.writer
        reader, served.writer = await asyncio.open_connection(*served.address)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


@pytest.mark.parametrize(
    ("received", "call"),
    [
        (WITH_BODY, "create_charge"),
        (b"POST /v1/charges?x=1 HTTP/1.1\r\nContent-Length:0\r\n\r\n", "create_charge"),
        (b"POST /v1/charges/ch_1/refunds HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "create_refund"),
        (b"POST /v1/nothing HTTP/1.1\r\ncontent-length: 0\r\n\r\n", None),
        (POST + b"\r\n", None),
        (WITH_BODY + b"{", None),
        (WITH_BODY[:-1], None),
        (GET, None),
        (POST + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}", None),
        (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", None),
        (POST + b"content-length: 2\r\nConnection: close\r\n\r\n{}", None),
        (POST + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n{}", None),
        (b"POST /v1/charges HTTP/1.0\r\ncontent-length: 0\r\n\r\n", None),
    ],
)
def test_only_what_is_whole_and_plain_is_told_by_its_bytes(received: bytes, call: str | None) -> None:
    """Whatever says something else of its end, or of the connection's, goes the long way."""
    assert whole_post.call_of(received) == call


@pytest.mark.parametrize("received", [b"POST /" + b"x" * 65_000, POST + b"a\r\n" * 20_000, POST + b"\r" * 65_000])
def test_nonsense_at_the_door_takes_no_time(received: bytes) -> None:
    """Telling is linear in what was received."""
    began = time.perf_counter()
    assert whole_post.call_of(received) is None
    assert time.perf_counter() - began < 1.0
