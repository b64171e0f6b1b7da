"""An open connection, without a socket: answers in order, however they come; and every way that one breaks."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kafka.line import Line


class Opened:
    """As much of aiokafka's connection as a Line takes over, and of its transport."""

    def __init__(self, timeout_ms: int = 60_000) -> None:
        self._versions: dict[int, tuple[int, int]] = {}
        self._request_timeout = timeout_ms / 1000
        self._correlation_id = 2**31 - 2
        self._writer = SimpleNamespace(transport=self)
        self._read_task = SimpleNamespace(cancel=lambda: None)
        self.is_closed = self.is_broken = False
        self.written: list[Any] = []

    def connected(self) -> bool:
        return not self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def set_protocol(self, protocol: Line) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, piece: bytes) -> None:
        if self.is_broken:
            raise RuntimeError("the handler is closed")
        self.written.append(piece)

    def writelines(self, pieces: list[bytes]) -> None:
        self.written += pieces


def line(opened: Opened) -> Line:
    return Line(cast(Any, opened))


def ask(over: Line) -> "asyncio.Future[bytes]":
    return over.send(over.next_id(), [b"question"])


def answer(correlation_id: int, body: bytes = b"") -> bytes:
    return (len(body) + 4).to_bytes(4, "big") + correlation_id.to_bytes(4, "big") + body


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 25), min_size=1))
def test_answers_are_whole_however_they_come(bodies: list[bytes], lengths: list[int]) -> None:
    """Cut anywhere, several at once, and across the number at which correlation ids begin anew."""

    async def run() -> None:
        over = line(Opened())
        ids = [over.next_id() for _ in bodies]
        answered = [over.send(one, [b"long", b"question"]) for one in ids]
        sent = b"".join(answer(one, body) for one, body in zip(ids, bodies, strict=True))
        at = 0
        for turn in range(len(sent)):
            length = lengths[turn % len(lengths)]
            if sent[at : at + length]:
                over.data_received(sent[at : at + length])
            at += length
        for one, body, future in zip(ids, bodies, answered, strict=True):
            assert await future == answer(one, body)
        assert not over.is_closed
        over.close()

    asyncio.run(run())


async def told(future: "asyncio.Future[bytes]") -> BaseException | None:
    async with asyncio.timeout(5):
        await asyncio.wait([future])
    return future.exception()


class Clock:
    """An event loop whose time stands still until a test moves it on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any]] = []
        self.create_future = asyncio.get_running_loop().create_future

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Any) -> Any:
        self.timers.append((when, call))
        return SimpleNamespace(cancel=self.timers.clear)

    def move_to(self, now: float) -> None:
        self.now = now
        due = [one for one in self.timers if one[0] <= now]
        self.timers = [one for one in self.timers if one[0] > now]
        for _, call in due:
            call()


def timed() -> tuple[Line, Clock]:
    """Requests may take ten seconds."""
    over, clock = line(Opened(10_000)), Clock()
    over._loop = cast(Any, clock)
    return over, clock


def test_who_waits_too_long_breaks_the_connection() -> None:
    """All that wait are told so; one that nobody waits for any more breaks nothing."""

    async def run() -> None:
        over, clock = timed()
        ask(over).cancel()
        clock.move_to(111.0)
        assert not over.is_closed
        first, second = ask(over), ask(over)
        clock.move_to(120.9)
        assert not over.is_closed
        clock.move_to(121.0)
        assert over.is_closed
        assert isinstance(await told(first), TimeoutError)
        assert isinstance(await told(second), TimeoutError)

    asyncio.run(run())


def test_each_has_its_own_time_by_one_timer() -> None:
    """It goes on to the next that waits, and is set anew once nobody does."""

    async def run() -> None:
        over, clock = timed()
        ask(over)
        clock.move_to(106.0)
        second = ask(over)
        assert len(clock.timers) == 1
        over.data_received(answer(2**31 - 1))
        clock.move_to(110.0)
        assert not second.done()
        over.data_received(answer(0))
        clock.move_to(116.0)
        assert not clock.timers
        third = ask(over)
        clock.move_to(126.0)
        assert second.result() == answer(0)
        assert isinstance(await told(third), TimeoutError)

    asyncio.run(run())


@pytest.mark.parametrize("wrong", [answer(5), answer(2**31 - 1) + answer(0), b"\0\0\0\1x"])
def test_an_answer_to_nothing_breaks_the_connection(wrong: bytes) -> None:
    """Of another number, one too many, or none at all."""

    async def run() -> None:
        over = line(Opened())
        waits = ask(over)
        over.data_received(wrong)
        assert over.is_closed
        assert isinstance(await told(waits), ConnectionResetError) or waits.result()

    asyncio.run(run())


def test_what_breaks_is_told_to_all_that_wait() -> None:
    """By the other side's end, by the socket, or by a write that comes too late; and a second time does nothing."""

    async def run() -> None:
        ended, lost, late = line(Opened()), line(Opened()), line(broken := Opened())
        waits = [ask(ended), ask(lost), ask(late)]
        ended.eof_received()
        lost.connection_lost(OSError("gone"))
        broken.is_broken = True
        with pytest.raises(ConnectionResetError, match="broken"):
            ask(late)
        for one, future in zip((ended, lost, late), waits, strict=True):
            assert isinstance(await told(future), ConnectionResetError)
            one.connection_lost(None)
            assert one.is_closed
            with pytest.raises(ConnectionResetError, match="closed"):
                ask(one)

    asyncio.run(run())


def test_what_is_lost_while_it_is_taken_over_is_closed() -> None:
    """Nobody would hear of it any more."""

    async def run() -> None:
        opened = Opened()
        opened.close()
        assert line(opened).is_closed

    asyncio.run(run())
