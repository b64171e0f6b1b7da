"""What the worker is handed instead of taking it: the clock, sleeping, tasks.

Units:   milliseconds.

A schedule can be explored, and a test can move the clock, because nothing in this room looks at another one.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Surroundings(Protocol):
    def now_ms(self) -> int:
        """Unix milliseconds, UTC."""

    def elapsed_ms(self) -> float:
        """For durations: never goes back, means nothing in itself."""

    async def sleep(self, for_ms: int) -> None: ...

    async def breathe(self) -> None:
        """Let others go on that could: their answers may have come."""

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]": ...

    async def aside(self, work: Callable[[], T]) -> T:
        """Do blocking work without stopping the loop; what it touches is nobody else's meanwhile."""

    async def first_of(self, tasks: "Collection[asyncio.Task[Any]]", max_wait_ms: int) -> None:
        """Return when one of them is done, max_wait_ms at most; raises nothing of theirs."""


class RealSurroundings:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def elapsed_ms(self) -> float:
        return time.perf_counter() * 1000

    async def sleep(self, for_ms: int) -> None:
        await asyncio.sleep(for_ms / 1000)

    async def breathe(self) -> None:
        await asyncio.sleep(0)

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        return asyncio.create_task(work, name=name)

    async def aside(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    async def first_of(self, tasks: "Collection[asyncio.Task[Any]]", max_wait_ms: int) -> None:
        await asyncio.wait(tasks, timeout=max_wait_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
