"""A proxy before one Kafka broker that understands requests: it loses, delays, repeats and holds back single ones.

In:      connections of Kafka clients; rules that say what happens to which request of which client.
Out:     the same frames to the broker and back, except where a rule bites.
Units:   milliseconds, bytes.
Errors:  a broker that cannot be reached closes the client's connection, as a broker that died would.
Source:  Kafka's wire format: each frame is a length and a message; a request names its API, version and client id;
         a broker answers one connection's requests in their order.

A rule counts down and then is gone; `bitten` is set when it has bitten for the first time. What was repeated or held
back travels on a connection of its own, as a copy that was late in the network would, and its answer is kept in
`late_answers` for whoever wants to know how the broker took it. Nothing is ever dropped because the proxy is slow.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from kio.index import load_request_schema, load_response_schema
from kio.schema.index import api_key_map
from kio.serial import entity_reader
from kio.static.protocol import RequestPayload, ResponsePayload

_CONNECTING_S = 5.0
_ANSWERING_S = 30.0


class Act(Enum):
    """What a rule does to the request it bites."""

    LOSE_REQUEST = auto()  # the broker never sees it; the connection breaks, or stays silent
    LOSE_ANSWER = auto()  # the broker did it, and the client is not told
    DELAY_REQUEST = auto()
    DELAY_ANSWER = auto()
    REPEAT_REQUEST = auto()  # a second copy arrives right behind the first's answer
    HOLD_REQUEST = auto()  # it arrives when `release` is called, long after the client has given up


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it passed: `body` decodes it, for whoever wants to look inside."""

    name: str
    version: int
    client_id: str
    correlation_id: int
    api_key: int
    frame: bytes
    header_end: int  # without the tags that flexible versions have

    def body(self) -> RequestPayload:
        schema = load_request_schema(self.api_key, self.version)
        request, _ = entity_reader(schema)(self.frame, self.header_end + (1 if schema.__flexible__ else 0))
        return request


@dataclass(eq=False, slots=True)
class Rule:
    """Bites the next `times` requests called `request` ("" for any) whose client id contains `client`."""

    act: Act
    request: str
    client: str = ""
    times: int = 1
    delay_ms: int = 0
    cut: bool = True  # break the connection after a loss; otherwise it stays open and silent
    bitten: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[SeenRequest] = field(default_factory=list)
    late_answers: list[ResponsePayload] = field(default_factory=list)

    def bites(self, request: SeenRequest) -> bool:
        return self.times > 0 and self.request in ("", request.name) and self.client in request.client_id


@dataclass(eq=False, slots=True)
class _Link:
    """One client's connection and its twin to the broker."""

    client: asyncio.StreamWriter
    broker: asyncio.StreamWriter
    waiting: deque[Rule | None] = field(default_factory=deque)  # for each request on its way, what its answer meets
    client_ids: set[str] = field(default_factory=set)

    def cut(self) -> None:
        for writer in (self.client, self.broker):
            transport = writer.transport
            if isinstance(transport, asyncio.Transport):
                transport.abort()


class KafkaProxy:
    """Listens at `address`; every client of a broker that advertises this address comes through it."""

    def __init__(self, upstream: str, listening: socket.socket) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host, int(port))
        self._listening = listening
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._rules: list[Rule] = []
        self._cut_off: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        host, port = self._listening.getsockname()[:2]
        return f"{host}:{port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._listening.dup())

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        self._rules.clear()
        self._cut_off.clear()

    def cut_off(self, client: str) -> None:
        """Break every connection of clients whose id contains this, and refuse new ones until `heal`."""
        self._cut_off.add(client)
        for link in list(self._links):
            if any(client in one for one in link.client_ids):
                link.cut()

    def heal(self, client: str) -> None:
        self._cut_off.discard(client)

    async def release(self, rule: Rule) -> list[ResponsePayload]:
        """Let what a HOLD_REQUEST rule kept arrive now; returns how the broker answered, request by request."""
        for request in rule.seen[len(rule.late_answers) :]:
            rule.late_answers.append(await self._deliver_late(request))
        return rule.late_answers

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECTING_S):
                from_broker, to_broker = await asyncio.open_connection(*self._upstream)
        except (OSError, TimeoutError):
            writer.close()
            return
        link = _Link(writer, to_broker)
        self._links.add(link)
        directions = [
            self._spawn(self._pass_requests(link, reader)),
            self._spawn(self._pass_answers(link, from_broker)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            link.cut()
            for task in directions:
                task.cancel()

    async def _pass_requests(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = parse_request(await _read_frame(reader))
                link.client_ids.add(request.client_id)
                if any(one in request.client_id for one in self._cut_off):
                    return
                rule = self._bite(request)
                if rule is not None and rule.act in (Act.LOSE_REQUEST, Act.HOLD_REQUEST):
                    if rule.cut:
                        return
                    continue
                if rule is not None and rule.act is Act.DELAY_REQUEST:
                    await asyncio.sleep(rule.delay_ms / 1000)
                link.waiting.append(rule)
                _write_frame(link.broker, request.frame)
                await link.broker.drain()

    async def _pass_answers(self, link: _Link, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _read_frame(reader)
                rule = link.waiting.popleft() if link.waiting else None
                if rule is not None and rule.act is Act.LOSE_ANSWER:
                    rule.bitten.set()
                    if rule.cut:
                        return
                    continue
                if rule is not None and rule.act is Act.DELAY_ANSWER:
                    await asyncio.sleep(rule.delay_ms / 1000)
                _write_frame(link.client, frame)
                await link.client.drain()
                if rule is not None and rule.act is Act.REPEAT_REQUEST:
                    rule.late_answers.append(await self._deliver_late(rule.seen[len(rule.late_answers)]))
                    rule.bitten.set()

    def _bite(self, request: SeenRequest) -> Rule | None:
        for rule in self._rules:
            if rule.bites(request):
                rule.times -= 1
                rule.seen.append(request)
                if rule.act not in (Act.LOSE_ANSWER, Act.REPEAT_REQUEST):  # those bite when the broker has answered
                    rule.bitten.set()
                if rule.times == 0:
                    self._rules.remove(rule)
                return rule
        return None

    async def _deliver_late(self, request: SeenRequest) -> ResponsePayload:
        async with asyncio.timeout(_ANSWERING_S):
            reader, writer = await asyncio.open_connection(*self._upstream)
            try:
                _write_frame(writer, request.frame)
                frame = await _read_frame(reader)
            finally:
                writer.close()
        response = load_response_schema(request.api_key, request.version)
        _, size = entity_reader(response.__header_schema__)(frame, 0)
        answer, _ = entity_reader(response)(frame, size)
        return answer

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def listen(host: str = "127.0.0.1") -> socket.socket:
    """A socket on a port of the kernel's choice, so that a broker can be told to advertise it before it starts."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, 0))
    listening.listen()
    listening.setblocking(False)
    return listening


def parse_request(frame: bytes) -> SeenRequest:
    """The header of one request; its body is decoded only when somebody asks."""
    api_key, version, correlation_id, length = struct.unpack_from(">hhih", frame)
    at = 10 + max(0, length)
    client_id = frame[10:at].decode(errors="replace")
    name = "".join(part.title() for part in api_key_map.get(api_key, f"unknown_{api_key}").split("_"))
    return SeenRequest(name, version, client_id, correlation_id, api_key, frame, at)


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def _write_frame(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)) + frame)
