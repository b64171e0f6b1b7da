"""A small HTTP/1.1 client that knows exactly how far a request came.

In:      method, path, headers and body; how long to wait; when the customer's connection is lost.
Out:     an `Answer`, or one of the two errors.
Units:   waits in milliseconds; `sent_at` in seconds of the monotonic clock.
Errors:  NotSentError when provably no byte left (no connection could be made); OutcomeUnknownError when bytes
         left and no whole answer came: reset, closed, out of patience, connection lost. Nothing is ever sent
         again behind the caller's back.
Source:  bytes by an asyncio protocol, the answer parsed by httptools. General clients retry on a stale pooled
         connection, or cannot say whether the request had left, and that is the one thing this simulator must
         not guess. A protocol, not streams: it costs half, and the load generator must not be what is measured.
"""

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

# uvicorn closes an idle connection after 5 s; a pooled one older than this is not used again.
IDLE_MS_MAX = 3_000.0
POOLED_MAX = 4096  # two thousand a second who wait for up to two; what is not kept is a port not free for a minute
CONNECT_TIMEOUT_S = 2.0


class NotSentError(Exception):
    """No connection: the request provably never left."""


class OutcomeUnknownError(Exception):
    """The request left at `sent_at` and nobody can say what became of it.

    `abandoned`: because the customer went away as planned, whatever the system did. `timed_out`: because the
    patience ended. `unheard`: not a byte of an answer had come. `kept`: the connection had been used before.
    """

    def __init__(
        self,
        reason: str,
        sent_at: float,
        *,
        abandoned: bool = False,
        timed_out: bool = False,
        unheard: bool = True,
        kept: bool = False,
    ) -> None:
        super().__init__(reason)
        self.sent_at = sent_at
        self.abandoned = abandoned
        self.timed_out = timed_out
        self.unheard = unheard
        self.kept = kept


@dataclass(slots=True)
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False
    keep_alive: bool = False
    sent_at: float = 0.0


class _Connection(asyncio.Protocol):
    """One connection, one request at a time; httptools calls `on_...` by name."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.usable = True  # may be asked again
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._body: list[bytes] = []
        self._waiting: asyncio.Future[Answer] | None = None
        self._sent_at = 0.0
        self._heard = False  # a byte since the last request

    # -- the customer's side -------------------------------------------------------------------------------

    async def ask(self, request: bytes, patience_ms: float, vanishes_after_ms: float | None) -> Answer:
        """The whole answer; raises OutcomeUnknownError, and is reset then."""
        assert self._transport is not None, "asked before it was connected"
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        abandoned = vanishes_after_ms is not None and vanishes_after_ms < patience_ms
        wait_ms = vanishes_after_ms if abandoned and vanishes_after_ms is not None else patience_ms
        reason = "the customer's connection was lost" if abandoned else f"no answer within {patience_ms:.0f} ms"
        self._sent_at = time.monotonic()
        self._heard = False
        self._transport.write(request)
        timer = loop.call_later(wait_ms / 1_000.0, self._give_up, reason, abandoned, not abandoned)
        try:
            return await self._waiting
        except BaseException:
            self.reset()
            raise
        finally:
            timer.cancel()
            self._waiting = None

    def reset(self) -> None:
        """Gone like a phone in a tunnel: RST instead of a farewell (linger 0)."""
        self.usable = False
        if self._transport is not None and not self._transport.is_closing():
            connection: socket.socket = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def _give_up(self, reason: str, abandoned: bool = False, timed_out: bool = False) -> None:
        if self._waiting is not None and not self._waiting.done():
            unknown = OutcomeUnknownError(
                reason,
                self._sent_at,
                abandoned=abandoned,
                timed_out=timed_out,
                unheard=not self._heard,
                kept=self.idle_since > 0.0,
            )
            self._waiting.set_exception(unknown)

    # -- the network's side --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has the methods and not the class

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:
            self.reset()  # an answer to nothing that was asked
            return
        self._heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.usable = False
            self._give_up(f"the answer was not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if exc is None:
            self._give_up("the connection was closed before the answer")
        else:
            why = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
            self._give_up(f"the connection was reset: {why}")

    def on_message_begin(self) -> None:
        self._answer, self._body = Answer(), []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        answer = self._answer
        answer.body = b"".join(self._body)
        answer.keep_alive = self._parser.should_keep_alive()
        answer.complete = True
        answer.sent_at = self._sent_at
        if self._waiting is None or self._waiting.done():
            self.usable = False  # a second answer to one request: what comes next would be the wrong one
        else:
            self._waiting.set_result(answer)


class HttpClient:
    """Connections to one host and port, kept for later requests; one request at a time on each."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._idle: deque[_Connection] = deque()

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        patience_ms: float,
        vanishes_after_ms: float | None = None,
        fresh: bool = False,
    ) -> Answer:
        """With `fresh`, on a new connection."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        connection = (None if fresh else self._pooled()) or await self._connect()
        answer = await connection.ask(request, patience_ms, vanishes_after_ms)
        self._keep(connection, answer)
        return answer

    def _pooled(self) -> _Connection | None:
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and (now - connection.idle_since) * 1_000.0 < IDLE_MS_MAX:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(_Connection, self.host, self.port)
        except (OSError, TimeoutError) as error:
            why = str(error) or "timed out"
            raise NotSentError(f"no connection to {self.host}:{self.port}: {why}") from None
        return connection

    def _keep(self, connection: _Connection, answer: Answer) -> None:
        if answer.keep_alive and connection.usable and len(self._idle) < POOLED_MAX:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
