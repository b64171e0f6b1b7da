"""The HTTP client: it knows how far a request came, and never takes one request's answer for another's."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from simulator.workload.http_client import Answer, HttpClient, NotSentError, OutcomeUnknownError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d"

Reply = Callable[[int], bytes | None]  # to the n-th request of all connections; None closes


@asynccontextmanager
async def server(reply: Reply) -> AsyncIterator[tuple[HttpClient, list[int]]]:
    """A client of a server that sends raw bytes; with it, how many requests each connection brought."""
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = len(asked)
        asked.append(0)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                asked[mine] += 1
                answer = reply(sum(asked))
                if answer is None:
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = HttpClient("127.0.0.1", listening.sockets[0].getsockname()[1])
    async with listening:
        yield client, asked
        client.close()


async def get(client: HttpClient, patience_ms: float = 5_000.0) -> Answer:
    return await client.request("GET", "/", {}, patience_ms=patience_ms)


async def test_a_connection_is_kept_and_says_when_it_was_asked() -> None:
    """Two requests, one connection, each with its own answer and the instant it was sent."""
    async with server(lambda number: OK % number) as (client, asked):
        began = time.monotonic()
        first = await get(client)
        second = await get(client)
    assert (first.body, second.body) == (b"01", b"02")
    assert began <= first.sent_at <= second.sent_at <= time.monotonic()
    assert asked == [2]


async def test_an_answer_too_many_is_nobodys() -> None:
    """A server that answers once twice: the second answer is not given to the next request."""
    async with server(lambda number: (OK % number) * 2 if number == 1 else OK % number) as (client, asked):
        bodies = [(await get(client)).body, (await get(client)).body]
    assert bodies == [b"01", b"02"]
    assert asked == [1, 1]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "the connection was closed before the answer"),
        (b"nonsense\r\n\r\n", "the answer was not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "no answer within 200 ms"),
    ],
)
async def test_without_a_whole_answer_nobody_knows(answer: bytes | None, reason: str) -> None:
    """The request has left: whatever came of it is unknown, with the instant it was sent, and nothing is sent again."""
    async with server(lambda _: answer) as (client, asked):
        with pytest.raises(OutcomeUnknownError, match=reason) as unknown:
            await get(client, patience_ms=200.0)
    assert 0.0 < unknown.value.sent_at < time.monotonic()
    assert not unknown.value.abandoned
    assert asked == [1]


async def test_who_goes_away_by_plan_has_abandoned() -> None:
    """The customer's own going is told apart from a system that was too slow."""
    async with server(lambda _: b"") as (client, _asked):
        with pytest.raises(OutcomeUnknownError, match="the customer's connection was lost") as unknown:
            await client.request("GET", "/", {}, patience_ms=5_000.0, vanishes_after_ms=30.0)
    assert unknown.value.abandoned


async def test_nobody_listens() -> None:
    """No connection: nothing was sent."""
    with pytest.raises(NotSentError, match=r"no connection to 127\.0\.0\.1:1"):
        await get(HttpClient("127.0.0.1", 1))
