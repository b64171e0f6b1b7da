"""A TCP proxy before one gateway that loses requests and answers: bytes, not a flag.

In:      connections of customers; losses, which say for each request and each answer whether it is lost, and
         how.
Out:     the same bytes to the gateway and back, except the lost ones.
Units:   bytes.
Errors:  a gateway that cannot be reached resets the customer's connection, as a balancer would.
Source:  Toxiproxy's `reset_peer` and `timeout`, aimed at a direction.

Nothing is parsed. On a connection where each request waits for its answer, the first bytes from the customer
after bytes from the gateway begin a request, and the first bytes from the gateway after that begin its
answer.
- A lost *request*: its bytes are never forwarded. Then the connection is reset, or it stays open and silent.
- A lost *response*: the request was forwarded and the gateway has answered; the answer's bytes are dropped
  and the connection is reset. The payment happened, and the customer does not know.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Direction = Literal["request", "response"]
Manner = Literal["reset", "silence"]

STOP_S = 2.0
_CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Lost:
    """What a loss did, for the record."""

    gateway: str
    direction: Direction
    manner: Manner
    bytes_lost: int


@dataclass(eq=False, slots=True)
class Loss:
    """Asked once for each request (or answer) that begins; None lets it pass."""

    direction: Direction
    decide: Callable[[], Manner | None]
    on_lost: Callable[[Lost], None]


@dataclass(eq=False, slots=True)
class _Conversation:
    """One customer's connection and its twin to the gateway."""

    customer: asyncio.StreamWriter
    gateway: asyncio.StreamWriter
    asked: bool = False  # a request has begun and its answer has not

    def end(self, *, reset: bool) -> None:
        """The gateway is always told goodbye: a reset would also discard a request it has not read yet."""
        self.gateway.close()
        if reset:
            _reset(self.customer)
        else:
            self.customer.close()


class HttpLossProxy:
    """Listens on a port of the kernel's choosing and forwards to one gateway."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.url = ""  # where customers connect, once started
        self._losses: list[Loss] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._conversations: set[_Conversation] = set()

    @classmethod
    def before(cls, name: str, url: str) -> "HttpLossProxy":
        """The proxy of the gateway at this URL."""
        parts = urlsplit(url)
        return cls(name, parts.hostname or "127.0.0.1", parts.port or 80)

    async def start(self) -> tuple[str, int]:
        """Returns the host and port customers connect to."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"
        return str(host), int(port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for conversation in list(self._conversations):
            conversation.end(reset=True)
        if self._tasks:  # they end by themselves: a cancelled one would make asyncio complain
            await asyncio.wait(self._tasks, timeout=STOP_S)

    def add(self, loss: Loss) -> None:
        self._losses.append(loss)

    def remove(self, loss: Loss) -> None:
        with suppress(ValueError):
            self._losses.remove(loss)

    def _decide(self, direction: Direction) -> tuple[Loss, Manner] | None:
        for loss in self._losses:
            if loss.direction == direction and (manner := loss.decide()) is not None:
                return loss, manner
        return None

    async def _accept(self, from_customer: asyncio.StreamReader, to_customer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            from_gateway, to_gateway = await asyncio.open_connection(self.host, self.port)
        except OSError:
            _reset(to_customer)
            return
        conversation = _Conversation(to_customer, to_gateway)
        self._conversations.add(conversation)
        pumps = (
            asyncio.create_task(self._requests(conversation, from_customer)),
            asyncio.create_task(self._answers(conversation, from_gateway)),
        )
        try:
            await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            conversation.end(reset=True)
            self._conversations.discard(conversation)

    async def _requests(self, conversation: _Conversation, from_customer: asyncio.StreamReader) -> None:
        async def forward(received: bytes) -> None:
            if conversation.asked:
                return await _write(conversation.gateway, received)
            conversation.asked = True
            if (decided := self._decide("request")) is None:
                return await _write(conversation.gateway, received)
            loss, manner = decided
            loss.on_lost(Lost(self.name, "request", manner, len(received)))
            if manner == "reset":
                raise ConnectionResetError
            while await from_customer.read(_CHUNK):  # swallowed until the customer loses patience
                pass
            raise ConnectionResetError

        await _pump(from_customer, forward, conversation)

    async def _answers(self, conversation: _Conversation, from_gateway: asyncio.StreamReader) -> None:
        async def forward(received: bytes) -> None:
            if conversation.asked:
                conversation.asked = False
                if (decided := self._decide("response")) is not None:
                    decided[0].on_lost(Lost(self.name, "response", "reset", len(received)))
                    raise ConnectionResetError
            await _write(conversation.customer, received)

        await _pump(from_gateway, forward, conversation)


async def _pump(
    source: asyncio.StreamReader, forward: Callable[[bytes], Awaitable[None]], conversation: _Conversation
) -> None:
    """Forward until the source ends; whatever ends one direction ends the conversation."""
    try:
        while received := await source.read(_CHUNK):
            await forward(received)
    except OSError:
        conversation.end(reset=True)
    else:
        conversation.end(reset=False)


async def _write(writer: asyncio.StreamWriter, received: bytes) -> None:
    writer.write(received)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of a farewell: linger 0 makes the kernel send one when the socket is closed."""
    if not writer.is_closing():
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
