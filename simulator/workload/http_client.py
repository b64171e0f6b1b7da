"""A small HTTP/1.1 client that knows exactly how far a request came.

In:      method, path, headers and body; how long to wait; when the customer's connection is lost.
Out:     an `Answer`, or one of the two errors.
Units:   milliseconds.
Errors:  NotSentError when provably no byte left (no connection could be made); OutcomeUnknownError when bytes
         left and no whole answer came: reset, closed, out of patience, connection lost. Nothing is ever sent
         again behind the caller's back.
Source:  bytes by asyncio streams, the answer parsed by httptools. General clients retry on a stale pooled
         connection, or cannot say whether the request had left, and that is the one thing this simulator must
         not guess.
"""

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import httptools

# uvicorn closes an idle connection after 5 s; a pooled one older than this is not used again.
IDLE_MS_MAX = 3_000.0
POOLED_MAX = 64
CONNECT_TIMEOUT_S = 2.0


class NotSentError(Exception):
    """No connection: the request provably never left."""


class OutcomeUnknownError(Exception):
    """The request left and nobody can say what became of it."""


@dataclass(slots=True)
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False
    keep_alive: bool = False


class _AnswerParser:
    """Collects one answer; httptools calls these by name."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, received: bytes) -> None:
        self._parser.feed_data(received)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.answer.body = b"".join(self._body)
        self.answer.keep_alive = self._parser.should_keep_alive()
        self.answer.complete = True


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0

    def reset(self) -> None:
        """Gone like a phone in a tunnel: RST instead of a farewell (linger 0)."""
        if not self.writer.is_closing():
            connection: socket.socket = self.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()


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
    ) -> Answer:
        connection = await self._connect()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        wait_ms = patience_ms if vanishes_after_ms is None else min(patience_ms, vanishes_after_ms)
        parser = _AnswerParser()
        try:
            connection.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            async with asyncio.timeout(wait_ms / 1_000.0):
                while not parser.answer.complete:
                    received = await connection.reader.read(65_536)
                    if not received:
                        raise OutcomeUnknownError("the connection was closed before the answer")
                    parser.feed(received)
        except TimeoutError:
            connection.reset()
            if wait_ms < patience_ms:
                raise OutcomeUnknownError("the customer's connection was lost") from None
            raise OutcomeUnknownError(f"no answer within {patience_ms:.0f} ms") from None
        except OSError as error:
            connection.reset()
            why = error.strerror or type(error).__name__
            raise OutcomeUnknownError(f"the connection was reset: {why}") from None
        except httptools.HttpParserError as error:
            connection.reset()
            raise OutcomeUnknownError(f"the answer was not HTTP: {error}") from None
        except BaseException:
            connection.reset()
            raise
        self._keep(connection, parser.answer)
        return parser.answer

    async def _connect(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            idle_ms = (time.monotonic() - connection.idle_since) * 1_000.0
            if idle_ms < IDLE_MS_MAX and not connection.reader.at_eof() and not connection.writer.is_closing():
                return connection
            connection.writer.close()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError) as error:
            why = str(error) or "timed out"
            raise NotSentError(f"no connection to {self.host}:{self.port}: {why}") from None
        return _Connection(reader, writer)

    def _keep(self, connection: _Connection, answer: Answer) -> None:
        if answer.keep_alive and len(self._idle) < POOLED_MAX:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.writer.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().writer.close()
