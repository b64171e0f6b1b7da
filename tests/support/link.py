"""The link between a customer and a gateway, with a real proxy and real sockets, and nothing behind it.

Out:     `link()`: a gateway that counts what reached it, a client in front of the proxy, a Scene for faults.
         `striking()`: a fault while it strikes, and its hits.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from events.guarantees import Guarantee
from simulator.faults.base import Fault, Injection, Processes, Scene
from simulator.log_watch import LogWatch
from simulator.proxy.http import HttpLossProxy
from simulator.seeded import seeded
from simulator.workload.http_client import Answer, HttpClient


class Gateway:
    """A server that counts the requests that reached it whole and answers each with its number."""

    def __init__(self) -> None:
        self.received: list[bytes] = []  # bodies
        self.raw: list[bytes] = []  # heads and bodies
        self.parts: list[bytes] = []  # bodies that broke off
        self.left = 0  # connections that their other end has closed
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await self._body(reader, head)
                self.received.append(body)
                self.raw.append(head + body)
                await self.may_answer.wait()
                answer = b'{"id":"answer %d"}' % len(self.received)
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(answer))
                await writer.drain()
                writer.write(answer)  # apart from its head, as servers do
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left += 1
        finally:
            writer.close()
            self.writers.discard(writer)

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        try:
            return await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            self.parts.append(error.partial)
            raise


@dataclass
class Link:
    gateway: Gateway
    proxy: HttpLossProxy
    client: HttpClient
    scene: Scene

    async def post(self, body: bytes, patience_ms: float = 2_000.0, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request("POST", "/v1/charges", named, body, patience_ms=patience_ms)


@asynccontextmanager
async def link() -> AsyncIterator[Link]:
    gateway = Gateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    proxy = HttpLossProxy("gateway 0", *server.sockets[0].getsockname()[:2])
    client = HttpClient(*await proxy.start())
    nobody, no_log = cast("Processes", None), cast("LogWatch", None)
    try:
        yield Link(gateway, proxy, client, Scene(Guarantee.EXACTLY_ONCE, nobody, (proxy,), no_log, lambda _: None))
    finally:
        client.close()
        await proxy.stop()
        gateway.may_answer.set()  # from Python 3.12 on, wait_closed waits for those who are still being served
        server.close()
        await server.wait_closed()


@dataclass
class Striking:
    """A fault at work; `hits` are the details it told."""

    injection: Injection
    task: asyncio.Task[None]
    hits: list[dict[str, Any]] = field(default_factory=list)

    async def cancel(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def striking(fault: Fault, scene: Scene, lasts_s: float = 30.0) -> AsyncIterator[Striking]:
    """It stands on the link already, and is cancelled at the end unless it has ended."""
    hits: list[dict[str, Any]] = []

    def record(phase: str, detail: object) -> None:
        if phase == "hit":
            hits.append(cast("dict[str, Any]", detail))

    injection = Injection(fault.name, 1, seeded(1), lasts_s, record)
    task = asyncio.create_task(fault.inject(scene, injection))
    await asyncio.sleep(0)
    strike = Striking(injection, task, hits)
    try:
        yield strike
    finally:
        await strike.cancel()
