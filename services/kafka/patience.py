"""Bounded waiting: how long something may still be tried, and the pause between two tries.

Units:   milliseconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from services.kafka.errors import Indefinite, Retriable

T = TypeVar("T")

PAUSE_FIRST_MS: Final = 2  # the markers of the transaction before are written within a millisecond or two
PAUSE_LONGEST_MS: Final = 100


class Patience:
    """A bound on tries, with pauses that double."""

    def __init__(self, within_ms: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + within_ms / 1000
        self._pause_ms = PAUSE_FIRST_MS

    @property
    def spent(self) -> bool:
        return self._loop.time() >= self._ends_at

    @property
    def left_ms(self) -> int:
        return max(0, int((self._ends_at - self._loop.time()) * 1000))

    async def pause(self) -> None:
        await asyncio.sleep(self._pause_ms / 1000)
        self._pause_ms = min(self._pause_ms * 2, PAUSE_LONGEST_MS)


async def ask_again(attempt: Callable[[], Awaitable[T]], within_ms: float, about: str) -> T:
    """Repeat a question (never a change) until it is answered; raises Retriable when the time is up."""
    patience = Patience(within_ms)
    while True:
        try:
            return await attempt()
        except (Retriable, Indefinite) as failure:
            if patience.spent:
                raise Retriable(
                    f"{about}: no answer within {within_ms / 1000:g} s ({failure})", code=failure.code
                ) from failure
        await patience.pause()
