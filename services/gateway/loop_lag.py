"""How long what arrives waits until the event loop gets round to it, and whether that has become a standing line.

In:      a timer of this loop, and how late it fired.
Out:     `is_standing`: the loop has more to do than it can.
Units:   seconds.
Errors:  none.
Source:  CoDel: a queue is bad when its delay stays above a target for an interval, not when it is long for a moment
         (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012); for requests to a server: Maurer,
         "Fail at Scale", ACM Queue 13(8), 2015. Requests that nobody has read yet wait in the kernel, where no count of
         ours sees them; the lag of a timer is how long each of them waits.
"""

import asyncio
from typing import Final

TICK_S: Final = 0.02
TARGET_S: Final = 0.1  # a tenth of what Retry-After asks for: with less, a refusal costs its customer more than waiting
INTERVAL_S: Final = 0.5  # other processes and the collector hold the loop up for less
CALM_S: Final = 1.0  # after so long without a lag, one is no longer a part of the last line


class LoopLag:
    """`watch` runs beside everything else."""

    def __init__(self) -> None:
        self.is_standing = False
        self._since_s: float | None = None  # when the lag went above the target
        self._lagged_s: float | None = None  # when it last was
        self._suspicious = False  # the line has been a standing one: the next lag is its return

    def fired(self, now_s: float, late_s: float) -> None:
        """A timer fired so late."""
        if late_s <= TARGET_S:
            self.is_standing, self._since_s = False, None
            self._suspicious = self._suspicious and self._lagged_s is not None and now_s - self._lagged_s < CALM_S
            return
        self._lagged_s = now_s
        if self._since_s is None:
            self._since_s = now_s - late_s
        self.is_standing = self._suspicious = self._suspicious or now_s - self._since_s >= INTERVAL_S

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            asked_s = loop.time()
            await asyncio.sleep(TICK_S)
            now_s = loop.time()
            self.fired(now_s, now_s - asked_s - TICK_S)
