"""A TCP proxy before one gateway: bytes both ways, and whatever the toxics on it do to them.

In:      connections of customers; toxics, which are asked for each request and each answer that begins.
Out:     the same bytes to the gateway and back, treated by the toxics; copies of requests on connections of their own.
Units:   bytes; seconds in names ending _S.
Errors:  a gateway that cannot be reached resets the customer's connection, as a balancer would.
Source:  Toxiproxy, aimed at a direction and at a message. asyncio protocols, not streams: while no toxic stands here
         a byte costs one read and one write (`benchmarks/http_proxy.py`).

Nothing is parsed. On a connection where each request waits for its answer, the first bytes from the customer after
bytes from the gateway begin a request, and the first bytes from the gateway after that begin its answer.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import cast
from urllib.parse import urlsplit

from simulator.proxy.toxic import Closing, Direction, End, LetGo, Passage, Toxic, Treatment

STOP_S = 2.0
BACKLOG = 2048  # as the gateway's own


class HttpLossProxy:
    """Listens on a port of the kernel's choosing and forwards to one gateway."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.url = ""  # where customers connect, once started
        self.toxics: tuple[Toxic, ...] = ()
        self.conversations: set[_Conversation] = set()
        self.exchanges_begun = 0
        self._server: asyncio.Server | None = None

    @classmethod
    def before(cls, name: str, url: str) -> "HttpLossProxy":
        """The proxy of the gateway at this URL."""
        parts = urlsplit(url)
        return cls(name, parts.hostname or "127.0.0.1", parts.port or 80)

    async def start(self) -> tuple[str, int]:
        """Returns the host and port customers connect to."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Conversation(self).customer, "127.0.0.1", 0, backlog=BACKLOG)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"
        return str(host), int(port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.toxics = ()
        over = [conversation.over for conversation in self.conversations]
        for conversation in list(self.conversations):
            conversation.end(reset=True, by="proxy")
            conversation.stop_lingering()
        if over:
            await asyncio.wait(over, timeout=STOP_S)
        for conversation in list(self.conversations):  # bytes that nobody reads keep a connection open
            conversation.abort()

    def add(self, toxic: Toxic) -> None:
        """Behind those that stand here already; messages on their way are not its concern."""
        self.toxics = (*self.toxics, toxic)

    def remove(self, toxic: Toxic) -> None:
        """Afterwards it holds no byte and no connection any more."""
        self.toxics = tuple(each for each in self.toxics if each is not toxic)
        for conversation in list(self.conversations):
            conversation.let_go_of(toxic)


class _Conversation:
    """One customer's connection and its twin to the gateway."""

    def __init__(self, proxy: HttpLossProxy) -> None:
        self.proxy = proxy
        self.customer = _Side(self, "customer")
        self.gateway = _Side(self, "gateway")
        self.customer.outward = _Lane(self, "request", self.customer, self.gateway)
        self.gateway.outward = _Lane(self, "response", self.gateway, self.customer)
        self.customer.inward, self.gateway.inward = self.gateway.outward, self.customer.outward
        self.asked = False  # a request has begun and its answer has not
        self.exchange = 0
        self.ended = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connecting: asyncio.Task[None] | None = None
        self._lingering: list[tuple[Toxic, LetGo]] = []

    def begin(self) -> None:
        """The customer is there; nothing is read from it before the gateway is, too."""
        self.proxy.conversations.add(self)
        self.customer.outward.hold()
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self.gateway, self.proxy.host, self.proxy.port)
        except OSError:
            self.end(reset=True, by="gateway")
        else:
            self.customer.outward.go_on()
            if self.ended:
                self.gateway.close()

    def end(self, *, reset: bool, by: End) -> None:
        """One end has gone; the other is told now, or when the toxics that let connections linger say so."""
        if self.ended:
            return
        self.ended = True
        for lane in (self.customer.outward, self.gateway.outward):
            lane.let_go()
        self._close(self.proxy.toxics, by, partial(self._finish, reset=reset))

    def _close(self, toxics: Sequence[Toxic], by: End, finish: Callable[[], None]) -> None:
        for index, toxic in enumerate(toxics):
            closing = Closing(self.proxy.name, by, partial(self._close, toxics[index + 1 :], by, finish))
            let_go = toxic.closes(closing) if toxic in self.proxy.toxics else None
            if let_go is not None:
                self._lingering.append((toxic, let_go))
                return
        finish()

    def _finish(self, *, reset: bool) -> None:
        """The gateway is always told goodbye: a reset would also discard a request it has not read yet."""
        self.gateway.close()
        self.customer.close(reset=reset)

    def stop_lingering(self) -> None:
        for _, let_go in self._lingering:
            let_go()

    def let_go_of(self, toxic: Toxic) -> None:
        for lane in (self.customer.outward, self.gateway.outward):
            lane.let_go(toxic)
        for each, let_go in list(self._lingering):
            if each is toxic:
                let_go()

    def abort(self) -> None:
        for side in (self.customer, self.gateway):
            if side.transport is not None:
                side.transport.abort()

    def lost(self) -> None:
        """One socket is closed for good."""
        connected = (side for side in (self.customer, self.gateway) if side.transport is not None)
        if all(side.gone for side in connected):
            self.proxy.conversations.discard(self)
            if not self.over.done():
                self.over.set_result(None)


class _Side(asyncio.Protocol):
    """One of the two sockets."""

    outward: "_Lane"  # what it sends
    inward: "_Lane"  # what is sent to it

    def __init__(self, conversation: _Conversation, name: End) -> None:
        self.transport: asyncio.Transport | None = None
        self.gone = False
        self._early: list[bytes] = []
        self._conversation = conversation
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's has the methods and not the class
        if self._name == "customer":
            self._conversation.begin()
        for part in self._early:
            self.write(part)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        self.outward.receive(data)

    def eof_received(self) -> bool:
        self._conversation.end(reset=False, by=self._name)
        return True  # whether this socket is closed is the conversation's to say

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._conversation.end(reset=True, by=self._name)
        self._conversation.lost()

    def pause_writing(self) -> None:
        self.inward.hold()

    def resume_writing(self) -> None:
        self.inward.go_on()

    def write(self, part: bytes) -> None:
        if self.transport is None:  # uvloop reads once more although it was told to pause in `connection_made`
            self._early.append(part)
        elif not self.transport.is_closing():
            self.transport.write(part)

    def close(self, *, reset: bool = False) -> None:
        """What was written goes out first. RST instead of a farewell: linger 0 makes the kernel send one."""
        if self.transport is None or self.transport.is_closing():
            return
        if reset:
            connection: socket.socket = self.transport.get_extra_info("socket")
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.close()


class _Lane:
    """One direction of a conversation: from a source, through the treatments of the present message, to a target."""

    def __init__(self, conversation: _Conversation, direction: Direction, source: _Side, target: _Side) -> None:
        self._conversation = conversation
        self._direction = direction
        self._asks = direction == "request"
        self._source = source
        self._target = target
        self._way: Callable[[bytes], None] = target.write  # where the next bytes go
        self._treatments: list[tuple[Toxic, Treatment]] = []
        self._holds = 0

    def receive(self, part: bytes) -> None:
        conversation = self._conversation
        if conversation.ended:
            return  # the other end has gone, and this one has not noticed yet
        if conversation.asked is not self._asks:
            conversation.asked = not conversation.asked
            if conversation.asked:
                conversation.proxy.exchanges_begun += 1
                conversation.exchange = conversation.proxy.exchanges_begun
            self._begin()
        self._way(part)

    def _begin(self) -> None:
        if self._treatments:
            self.let_go()  # bytes of the message before this one come before it
            self._treatments.clear()
        self._way = self._find_way(self._conversation.proxy.toxics)

    def _find_way(self, toxics: tuple[Toxic, ...]) -> Callable[[bytes], None]:
        """Into the treatment of the first of these toxics that has one, or onto the wire."""
        for index, toxic in enumerate(toxics):
            if toxic not in self._conversation.proxy.toxics:
                continue  # removed while the message was held by an earlier one
            treatment = toxic.begins(self._passage(toxics[index + 1 :]))
            if treatment is not None:
                self._treatments.append((toxic, treatment))
                return treatment.take
        return self._target.write

    def _passage(self, rest: tuple[Toxic, ...]) -> Passage:
        found: list[Callable[[bytes], None]] = []

        def forward(part: bytes) -> None:
            if not found:
                found.append(self._find_way(rest))
            found[0](part)

        conversation = self._conversation
        return Passage(
            conversation.proxy.name,
            self._direction,
            conversation.exchange,
            forward,
            lambda: conversation.end(reset=True, by="proxy"),
            self.hold,
            self.go_on,
        )

    def let_go(self, toxic: Toxic | None = None) -> None:
        """Of what this toxic holds here, or what any does."""
        for each, treatment in self._treatments:  # what one lets go of may come to a later one that is not here yet
            if toxic is None or each is toxic:
                treatment.let_go()

    def hold(self) -> None:
        self._holds += 1
        if self._holds == 1 and self._source.transport is not None and not self._source.transport.is_closing():
            self._source.transport.pause_reading()

    def go_on(self) -> None:
        self._holds -= 1
        if self._holds == 0 and self._source.transport is not None and not self._source.transport.is_closing():
            self._source.transport.resume_reading()
