"""A proxy before one Kafka broker that understands requests: it loses, delays, repeats and holds back single ones,
and makes the wire slow, narrow or silent.

In:      connections of Kafka clients; rules and conditions, which say what happens to whom.
Out:     the same frames to the broker and back, except where one bites.
Units:   milliseconds, bytes.
Errors:  a broker that cannot be reached closes the client's connection, as a broker that died would.
Source:  Kafka's wire format: a broker answers one connection's requests in their order.

What was repeated or held back travels on a connection of its own, as a copy that was late in the network would, and its
answer is kept in `late_answers` for whoever wants to know how the broker took it. Nothing is ever dropped because the
proxy is slow. Requests that want no answer (acks=0) are not understood; nobody here sends them.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from kio.static.protocol import ResponsePayload

from simulator.proxy.kafka_frames import SeenRequest, parse_request, unwrapped, wrapped
from simulator.proxy.kafka_link import Link
from simulator.proxy.kafka_rules import ALWAYS, Act, Condition, Rule

__all__ = ["ALWAYS", "Act", "Condition", "KafkaProxy", "Rule", "SeenRequest", "listen", "parse_request"]

CONNECTING_S: Final = 5.0
ANSWERING_S: Final = 30.0

Upstream = str | Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class _Bite:
    """What an answer meets: the rule that bit its request."""

    rule: Rule
    request: SeenRequest


class KafkaProxy:
    """Listens at `address`; every client of a broker that advertises this address comes through it.

    `upstream` is HOST:PORT, or is asked at each connection where the broker's port is known only later.
    """

    def __init__(self, upstream: Upstream, listening: socket.socket) -> None:
        self._upstream = upstream
        self._listening = listening
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self._rules: list[Rule] = []
        self._conditions: list[Condition] = []
        self._cut_off: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        host, port = self._listening.getsockname()[:2]
        return f"{host}:{port}"

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=self._listening.dup())

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- what happens to whom ------------------------------------------------------------------------------

    def add(self, rule: Rule) -> Rule:
        self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """It bites no more; one that has bitten as often as it may is gone already."""
        with contextlib.suppress(ValueError):
            self._rules.remove(rule)

    def begin(self, condition: Condition) -> Condition:
        """It holds from now on, for connections that are open too."""
        self._conditions.append(condition)
        self._tell_links()
        return condition

    def end(self, condition: Condition) -> None:
        """What it held back arrives."""
        with contextlib.suppress(ValueError):
            self._conditions.remove(condition)
        self._tell_links()

    def clear(self) -> None:
        self._rules.clear()
        self._conditions.clear()
        self._cut_off.clear()
        self._tell_links()

    def reset(self, client: str) -> list[str]:
        """Break every connection of clients whose id contains this; whose they were. They may come again."""
        broken = [link for link in self._links if link.client_id and client in link.client_id]
        for link in broken:
            link.cut()
        return sorted(link.client_id for link in broken)

    def cut_off(self, client: str) -> None:
        """Break every connection of clients whose id contains this, and refuse new ones until `heal`."""
        self._cut_off.add(client)
        self.reset(client)

    def heal(self, client: str) -> None:
        self._cut_off.discard(client)

    async def release(self, rule: Rule) -> list[ResponsePayload]:
        """Let what a HOLD_REQUEST rule kept arrive now; returns how the broker answered, request by request."""
        for request in rule.seen[len(rule.late_answers) :]:
            rule.late_answers.append(await self._deliver_late(request))
        return rule.late_answers

    # -- connections ---------------------------------------------------------------------------------------

    def _accept(self) -> asyncio.Protocol:
        link = Link(self._asked, self._answered, self._links.discard)
        self._links.add(link)
        self._spawn(self._connect(link))
        return link.client

    async def _connect(self, link: Link) -> None:
        try:
            async with asyncio.timeout(CONNECTING_S):
                await asyncio.get_running_loop().create_connection(lambda: link.broker, *self._broker_address())
        except (OSError, TimeoutError):
            link.cut()
            return
        if link.client.transport is None or link.client.transport.is_closing():
            link.cut()
            return
        link.client.transport.resume_reading()

    def _broker_address(self) -> tuple[str, int]:
        upstream = self._upstream if isinstance(self._upstream, str) else self._upstream()
        if upstream is None:
            raise ConnectionRefusedError("there is no broker yet")
        host, _, port = upstream.rpartition(":")
        return host, int(port)

    def _tell_links(self) -> None:
        for link in list(self._links):
            link.meet(self._conditions)

    # -- frames --------------------------------------------------------------------------------------------

    def _asked(self, link: Link, frame: bytes) -> None:
        if link.is_cut:
            return
        if not self._rules and link.client_id:  # nobody could bite: nothing is looked at
            link.waiting.append(None)
            link.client.push(frame)
            return
        request = parse_request(unwrapped(frame))
        if not link.client_id:
            link.client_id = request.client_id
            link.meet(self._conditions)
        if any(one in request.client_id for one in self._cut_off):
            link.cut()
            return
        self._pass_request(link, request, frame, self._bite(request))

    def _pass_request(self, link: Link, request: SeenRequest, frame: bytes, rule: Rule | None) -> None:
        if rule is None:
            link.waiting.append(None)
            link.client.push(frame)
            return
        if rule.act in (Act.LOSE_REQUEST, Act.HOLD_REQUEST):
            if rule.cut:
                link.cut()
            return
        if rule.act is Act.BEGIN_CONDITION and rule.condition is not None:
            self.begin(rule.condition)
        link.waiting.append(_Bite(rule, request))
        link.client.push(frame, rule.delay_ms / 1000 if rule.act is Act.DELAY_REQUEST else 0.0)

    def _answered(self, link: Link, frame: bytes) -> None:
        if link.is_cut:
            return
        bite = link.answer_is_due()
        if not isinstance(bite, _Bite):
            link.broker.push(frame)
            return
        rule, request = bite.rule, bite.request
        if rule.act is Act.LOSE_ANSWER:
            rule.bit(request)
            if rule.cut:
                link.cut()
            return
        link.broker.push(frame, rule.delay_ms / 1000 if rule.act is Act.DELAY_ANSWER else 0.0)
        if rule.act is Act.WATCH_ANSWER:
            rule.bit(request)
        elif rule.act is Act.BEGIN_CONDITION:
            rule.late_answers.append(request.answer(unwrapped(frame)))
        elif rule.act is Act.REPEAT_REQUEST:
            self._spawn(self._repeat(rule, request))

    def _bite(self, request: SeenRequest) -> Rule | None:
        for rule in self._rules:
            if rule.bites(request):
                rule.takes(request)
                if rule.times == 0:
                    self._rules.remove(rule)
                return rule
        return None

    async def _repeat(self, rule: Rule, request: SeenRequest) -> None:
        rule.late_answers.append(await self._deliver_late(request))
        rule.bit(request)

    async def _deliver_late(self, request: SeenRequest) -> ResponsePayload:
        async with asyncio.timeout(ANSWERING_S):
            reader, writer = await asyncio.open_connection(*self._broker_address())
            try:
                writer.write(wrapped(request.frame))
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                return request.answer(await reader.readexactly(size))
            finally:
                writer.close()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def listen(host: str = "127.0.0.1") -> socket.socket:
    """A socket on a port of the kernel's choice, so that a broker can be told to advertise it before it starts."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, 0))
    listening.listen(128)
    listening.setblocking(False)
    return listening
