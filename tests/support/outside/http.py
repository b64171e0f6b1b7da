"""HTTP/1.1 in as few lines as it takes; a general client costs ten times the processor time, which the stack needs.

In:      an address, one request at a time on each connection.
Out:     status, headers, body.
Units:   seconds.
Errors:  Broken, with its reason, wherever no whole answer came; nothing is ever sent again.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

IDLE_S_MAX = 3.0  # servers close what is idle for some seconds


class Broken(Exception):
    """No connection, or none any more."""


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0


class Http:
    """Connections to any number of servers, kept while they are used."""

    def __init__(self) -> None:
        self._idle: dict[str, list[_Connection]] = defaultdict(list)

    async def request(
        self, method: str, server: str, path: str, headers: Mapping[str, str], body: bytes, patience_s: float
    ) -> Response:
        try:
            async with asyncio.timeout(patience_s):
                return await self._exchange(method, server, path, headers, body)
        except TimeoutError:
            raise Broken("out of patience") from None
        except (OSError, EOFError, asyncio.IncompleteReadError, ValueError) as error:
            raise Broken(type(error).__name__) from None

    async def _exchange(self, method: str, server: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        where = urlsplit(server)
        connection = self._kept(server) or _Connection(*await asyncio.open_connection(where.hostname, where.port))
        lines = [f"{method} {path} HTTP/1.1", f"Host: {where.netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            connection.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            head = (await connection.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            received = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            content = await connection.reader.readexactly(int(received["content-length"]))
        except BaseException:
            connection.writer.transport.abort()
            raise
        connection.idle_since = time.monotonic()
        self._idle[server].append(connection)
        return Response(int(head[0].split()[1]), received, content)

    def _kept(self, server: str) -> _Connection | None:
        idle = self._idle[server]
        while idle:
            connection = idle.pop()
            if time.monotonic() - connection.idle_since < IDLE_S_MAX and not connection.reader.at_eof():
                return connection
            connection.writer.close()
        return None

    def close(self) -> None:
        for idle in self._idle.values():
            for connection in idle:
                connection.writer.close()
        self._idle.clear()
