"""Find the highest rate at which something holds, by trying: doubling, then halving the gap, then trying again.

In:      the rate to begin with; after each rate that is tried, whether it held.
Out:     a generator of rates to try; it returns an `Answer`.
Units:   rates per second.
Errors:  none. Pure.

A single step proves little on a busy machine: the answer is a rate that held AGAIN more times. One that fails then
is given up for the next lower one.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

AGAIN: Final = 2  # times that a rate has to hold once more
STEPS_MAX: Final = 24
PRECISION: Final = 1.05  # how near the rate that fails may be to the one that holds
LEAST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """`rate` held each time it was tried (None: none did); `fails_at` is the lowest that did not (None: all held)."""

    rate: float | None
    fails_at: float | None
    confirmed: bool  # it held as often as was asked for, before the steps were used up


Search = Generator[float, bool, Answer]


def search(first: float, steps_max: int = STEPS_MAX) -> Search:
    held: dict[float, int] = {}  # how often, of those below `fails_at`
    fails_at: float | None = None
    rate: float | None = first
    for _ in range(steps_max):
        if rate is None:
            break
        if (yield rate):
            held[rate] = held.get(rate, 0) + 1
        else:
            fails_at = rate
            held = {lower: times for lower, times in held.items() if lower < rate}
        rate = _next(rate, held, fails_at)
    best = max(held, default=None)
    return Answer(best, fails_at, best is not None and held[best] > AGAIN)


def _next(tried: float, held: dict[float, int], fails_at: float | None) -> float | None:
    """The rate to try; None when there is nothing more to learn."""
    best = max(held, default=None)
    if fails_at is None:
        return tried * 2.0
    if best is None:
        return fails_at / 2.0 if fails_at / 2.0 >= LEAST else None
    if fails_at / best > PRECISION and held[best] == 1:
        return (best + fails_at) / 2.0
    return best if held[best] <= AGAIN else None
