"""The clock of the log in memory: handed in, advanced by whoever made it.

Units:   Unix milliseconds.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int: ...

    async def wait(self, until_ms: int) -> None:
        """Return when it is until_ms, or as soon as `wake` was called, whichever comes first."""

    def wake(self) -> None: ...


class ManualClock:
    """Time that stands still until somebody advances it."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, by_ms: int) -> None:
        self._now_ms += by_ms
        self._release(lambda until_ms: until_ms <= self._now_ms)

    def wake(self) -> None:
        self._release(lambda until_ms: True)

    async def wait(self, until_ms: int) -> None:
        if until_ms > self._now_ms:
            released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((until_ms, released))
            await released

    def _release(self, due: Callable[[int], bool]) -> None:
        released = [one for one in self._waiting if due(one[0])]
        self._waiting = [one for one in self._waiting if not due(one[0])]
        for _, future in released:
            if not future.done():
                future.set_result(None)
