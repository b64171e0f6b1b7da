"""How many commands wait for the processors, and how long they take to have none left when nobody comes any more.

In:      a LogWatch; the word that the last customer has come.
Out:     the most that ever waited, how many waited then, and after how many seconds none did.
Units:   commands; seconds.
Errors:  none: a log that cannot be asked now is asked again, and what was never seen is None.
Source:  the log's own positions: the ends of `commands` less the offsets of the processors' group. Retries and what
         follows a charge are commands too, so that a few may come after the last customer has.
"""

import asyncio
import time
from typing import Any, Final, Self

from aiokafka.errors import KafkaError

from simulator.log_watch import LogWatch, LogWatchError

ASK_EVERY_S: Final = 0.5
ASK_THEN_EVERY_S: Final = 0.1  # once nobody comes any more: this is how exact `drained_s` is


class Backlog:
    """`async with Backlog(log) as backlog:` watches; `arrivals_over` when the last customer has come."""

    def __init__(self, log: LogWatch) -> None:
        self.most = 0
        self.at_last_arrival: int | None = None
        self.drained_s: float | None = None
        self._log = log
        self._over_at: float | None = None
        self._over = asyncio.Event()
        self._drained = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watching is not None, "entered"
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)

    def arrivals_over(self) -> None:
        """Said again it means nothing."""
        if self._over_at is None:
            self._over_at = time.monotonic()
            self._over.set()

    async def drain(self, timeout_s: float) -> bool:
        """Whether nothing waits any more, in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._drained.wait()
        except TimeoutError:
            return False
        return True

    async def _watch(self) -> None:
        while self.drained_s is None:
            over_at = self._over_at
            try:
                waiting = await self._waiting()
            except (KafkaError, LogWatchError, OSError, TimeoutError):
                await asyncio.sleep(ASK_EVERY_S)
                continue
            self.most = max(self.most, waiting)
            if over_at is None:
                await self._pause()
                continue
            if self.at_last_arrival is None:
                self.at_last_arrival = waiting
            if not waiting:
                self.drained_s = time.monotonic() - over_at
                self._drained.set()
                return
            await asyncio.sleep(ASK_THEN_EVERY_S)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(ASK_EVERY_S):
                await self._over.wait()
        except TimeoutError:
            return

    async def _waiting(self) -> int:
        spots = self._log.spots("commands")
        offsets = await self._log.group_offsets()  # before the ends: what comes in between counts as waiting
        ends = await self._log.ends(spots)
        return sum(max(0, ends[spot] - offsets[spot[1]]) for spot in spots)

    def to_json(self) -> dict[str, Any]:
        return {
            "most_commands": self.most,
            "at_last_arrival": self.at_last_arrival,
            "drained_s": None if self.drained_s is None else round(self.drained_s, 2),
        }
