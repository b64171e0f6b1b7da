"""The open connection to a broker: requests leave in order, and their answers come back in that order.

In:      a connection that aiokafka has opened: TCP, TLS, SASL and the versions served are its work.
Out:     for each request the bytes of its answer.
Units:   seconds, bytes.
Errors:  OSError and its TimeoutError, for every request that waits when the connection breaks.

aiokafka reads through a stream in a task of its own and puts a timer behind every request. For answers of some hundred
bytes both cost more than the answer does, so from here on the socket's bytes come to us. The time-outs are looked at
by one timer that is set to the oldest request.
"""

import asyncio
import struct
from collections import deque
from typing import Final, NamedTuple

from aiokafka.conn import AIOKafkaConnection

from services.kafka.question import Piece

_LENGTH: Final = 4  # bytes that say how long what follows is
_ID: Final = struct.Struct(">i")


class _Waiting(NamedTuple):
    correlation_id: int
    ends_at: float
    answered: "asyncio.Future[bytes]"


class Line(asyncio.Protocol):
    """Take it over once it is connected, and no request is under way."""

    def __init__(self, opened: AIOKafkaConnection) -> None:
        self._loop = asyncio.get_running_loop()
        self._opened = opened  # closes the socket when it is forgotten
        self.versions: dict[int, tuple[int, int]] = opened._versions
        self._timeout_s: float = opened._request_timeout
        self._correlation_id: int = opened._correlation_id
        self._waiting: deque[_Waiting] = deque()
        self._parts: list[bytes] = []  # of an answer that has not come whole
        self._length = 0  # of the parts
        self._wanted = 0
        self._timer: asyncio.TimerHandle | None = None
        self.is_closed = False
        self._transport: asyncio.WriteTransport = opened._writer.transport
        opened._read_task.cancel()
        self._transport.set_protocol(self)
        if self._transport.is_closing() or not opened.connected():
            self.close()

    def next_id(self) -> int:
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        return self._correlation_id

    def send(self, correlation_id: int, pieces: list[Piece]) -> "asyncio.Future[bytes]":
        """The whole message. The answer begins with its length, and its correlation id is the right one."""
        if self.is_closed:
            raise ConnectionResetError("the connection is closed")
        try:
            if len(pieces) == 1:
                self._transport.write(pieces[0])
            else:
                self._transport.writelines(pieces)
        except RuntimeError as error:  # uvloop's word for a connection that was reset
            self.close()
            raise ConnectionResetError(f"connection broken: {error}") from error
        ends_at = self._loop.time() + self._timeout_s
        answered: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting.append(_Waiting(correlation_id, ends_at, answered))
        if self._timer is None:
            self._timer = self._loop.call_at(ends_at, self._look)
        return answered

    def close(self, why: BaseException | None = None) -> None:
        """Whoever waits is told."""
        if self.is_closed:
            return
        self.is_closed = True
        self._opened.close()
        if self._timer is not None:
            self._timer.cancel()
        for one in self._waiting:
            if not one.answered.done():
                closed = why if isinstance(why, TimeoutError) else ConnectionResetError("the connection was closed")
                closed.__cause__ = None if closed is why else why
                one.answered.set_exception(closed)
        self._waiting.clear()
        self._parts.clear()

    # What the event loop tells

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(exc)

    def eof_received(self) -> None:
        self.close()

    def data_received(self, data: bytes) -> None:
        if self._parts:
            self._parts.append(data)
            self._length += len(data)
            if self._length < self._wanted:
                return
            data = b"".join(self._parts)
            self._parts.clear()
        at, length = 0, len(data)
        while length - at >= _LENGTH:
            ends_at = at + _LENGTH + int.from_bytes(data[at : at + _LENGTH], "big")
            if ends_at > length:
                self._keep(data[at:], ends_at - at)
                return
            self._answer(data if ends_at - at == length else data[at:ends_at])
            at = ends_at
        if at < length:
            self._keep(data[at:], _LENGTH)

    def _keep(self, rest: bytes, wanted: int) -> None:
        self._parts.append(rest)
        self._length, self._wanted = len(rest), wanted

    def _answer(self, frame: bytes) -> None:
        if self.is_closed:
            return
        if not self._waiting or len(frame) < 2 * _LENGTH:
            self.close(ConnectionResetError("an answer that nobody waits for"))
            return
        (correlation_id,) = _ID.unpack_from(frame, _LENGTH)
        expected = self._waiting[0].correlation_id
        if correlation_id != expected:
            self.close(
                ConnectionResetError(f"correlation ids do not match: sent {expected}, received {correlation_id}")
            )
            return
        answered = self._waiting.popleft().answered
        if not answered.done():
            answered.set_result(frame)

    def _look(self) -> None:
        """Whoever was cancelled does not care how long it takes."""
        self._timer = None
        now = self._loop.time()
        for one in self._waiting:
            if one.answered.done():
                continue
            if one.ends_at <= now:
                self.close(TimeoutError(f"no answer within {self._timeout_s:g} s"))
            else:
                self._timer = self._loop.call_at(one.ends_at, self._look)
            return
