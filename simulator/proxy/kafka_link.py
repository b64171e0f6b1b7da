"""One client's connection and its twin to the broker: frames pass in their order, however late.

In:      what either end sends; what the proxy says of each request and of each answer.
Out:     the same frames at the other end.
Units:   seconds in fields ending _s, bytes.
Errors:  an end that breaks ends the other, once what was sent before has arrived: as TCP does.
Source:  asyncio's protocols: beside a stream's reader and tasks they cost a third of the time a frame.

Nothing is looked at unless a rule could bite, and nothing waits unless a condition holds. Memory is bounded: who sends
faster than the other end takes is not read from.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from simulator.proxy.kafka_frames import FrameSplitter
from simulator.proxy.kafka_rules import Condition

QUEUE_MAX: Final = 8 * 1024 * 1024  # bytes that wait in one direction; a frame more than that may be there
FAREWELL_S: Final = 2.0  # how long the broker's answers to a client that has gone are waited for
SOON_S: Final = 0.0005

Meet = Callable[[bytes], None]


class Way(asyncio.Protocol):
    """One end of a link, and the way from it to the other end."""

    def __init__(self, meet: Meet, ended: Callable[[], None], *, reads_at_once: bool = True) -> None:
        self.transport: asyncio.Transport | None = None  # where its frames come from
        self.other: Way | None = None  # where they go to
        self.client_id = ""
        self.conditions: Sequence[Condition] = ()
        self._meet = meet
        self._ended = ended
        self._reads_at_once = reads_at_once
        self._splitter = FrameSplitter()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._queued = 0
        self._free_at = 0.0  # when a narrow wire has sent what was given to it
        self._last_due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._other_is_full = False
        self._is_over = False  # this end has gone; what it sent may still be on its way
        self._loop = asyncio.get_running_loop()

    # -- this end ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if not self._reads_at_once:  # there is no other end yet
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._splitter.feed(data):
                self._meet(frame)
        except ValueError:  # whoever speaks something else is not our client
            self.reset()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        if not self._queue:
            self._ended()

    def pause_writing(self) -> None:
        """This end takes no more for now: the other one is not read from."""
        if self.other is not None:
            self.other.throttle(full=True)

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.throttle(full=False)

    def throttle(self, *, full: bool) -> None:
        self._other_is_full = full
        self._read_on()

    def _read_on(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self._other_is_full or self._queued > QUEUE_MAX:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # -- the way to the other end --------------------------------------------------------------------------

    def push(self, frame: bytes, delay_s: float = 0.0) -> None:
        """Send on, behind what still waits."""
        if not self._queue and not self.conditions and not delay_s:
            self._write(frame)
            return
        due = self._due(frame, delay_s)
        self._queue.append((due, frame))
        self._queued += len(frame)
        if self._queued > QUEUE_MAX:
            self._read_on()
        self.flush()

    def _due(self, frame: bytes, delay_s: float) -> float:
        now = self._loop.time()
        due = now + delay_s
        for condition in self.conditions:
            condition.met(self.client_id, len(frame))
            if condition.bytes_per_s is not None:
                self._free_at = max(self._free_at, now) + len(frame) / condition.bytes_per_s
                due = max(due, self._free_at)
            due += condition.latency_s()
        self._last_due = max(due, self._last_due)
        for condition in self.conditions:
            condition.held_ms_max = max(condition.held_ms_max, (self._last_due - now) * 1000)
        return self._last_due

    def flush(self) -> None:
        """Let go whatever is due; called again at the next instant that something is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if any(condition.silent for condition in self.conditions):
            return
        while self._queue:
            due, frame = self._queue[0]
            if due > self._loop.time() + SOON_S:
                self._timer = self._loop.call_at(due, self.flush)
                return
            self._queue.popleft()
            self._queued -= len(frame)
            self._write(frame)
        self._read_on()
        if self._is_over:
            self._ended()

    def _write(self, frame: bytes) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.write(frame)

    def forget(self) -> None:
        """Drop what waits; nothing goes this way any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._queue.clear()
        self._queued = 0

    def finish(self) -> None:
        """Close this end once everything that was written to it has been sent."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """RST instead of a farewell: linger 0 makes the kernel send one when the socket is closed."""
        if self.transport is None or self.transport.is_closing():
            return
        connection: socket.socket = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Link:
    """Two ways. `asked` is told of each request and `answered` of each answer, with what the request left to meet."""

    def __init__(
        self,
        asked: Callable[["Link", bytes], None],
        answered: Callable[["Link", bytes], None],
        gone: Callable[["Link"], None],
    ) -> None:
        self.client_id = ""  # until its first request
        self.client = Way(lambda frame: asked(self, frame), self._client_has_gone, reads_at_once=False)
        self.broker = Way(lambda frame: answered(self, frame), self._broker_has_gone)
        self.client.other, self.broker.other = self.broker, self.client
        self.waiting: deque[object] = deque()  # for each request on its way, what its answer meets
        self.is_cut = False
        self._client_left = False
        self._gone = gone
        self._farewell: asyncio.TimerHandle | None = None

    def meet(self, conditions: Sequence[Condition]) -> None:
        """These hold from now on."""
        concerning = tuple(one for one in conditions if one.concerns(self.client_id))
        for way in (self.client, self.broker):
            way.client_id, way.conditions = self.client_id, concerning
            way.flush()

    def cut(self) -> None:
        """Break both ends at once; what is on its way is lost."""
        self.is_cut = True
        for way in (self.client, self.broker):
            way.forget()
            way.reset()
        self._end()

    def answer_is_due(self) -> object:
        """What the answer that just came meets."""
        fate = self.waiting.popleft() if self.waiting else None
        if self._client_left and not self.waiting:
            self.broker.finish()
        return fate

    def _client_has_gone(self) -> None:
        """What it sent has arrived. The broker's last answers are waited for: somebody may want to see them."""
        self._client_left = True
        if not self.waiting:
            self.broker.finish()
        elif self._farewell is None:
            self._farewell = asyncio.get_running_loop().call_later(FAREWELL_S, self.broker.finish)
        if self.broker.transport is None or self.broker.transport.is_closing():
            self._end()

    def _broker_has_gone(self) -> None:
        self.client.forget()
        self.client.finish()
        self._end()

    def _end(self) -> None:
        if self._farewell is not None:
            self._farewell.cancel()
        self._gone(self)
