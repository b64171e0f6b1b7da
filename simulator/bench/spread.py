"""What repeated measurements come to: a median between the lowest and the highest, and ratios within a round.

In:      numbers, one a round; None where a round has none.
Out:     Spread.
Units:   those of the numbers; ratios have none.
Source:  a ratio is taken within one round, whose runs were minutes apart at most, so that what slows the whole machine
         for a while slows both sides of it. With three rounds there is no better word for spread than the extremes.

Pure: no clock, nothing is read.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple, Self


class Spread(NamedTuple):
    """The middle one and the extremes of as many measurements as there were rounds."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Self | None:
        """None where there is nothing to tell the spread of."""
        there = [value for value in values if value is not None]
        return cls(median(there), min(there), max(there), len(there)) if there else None

    def to_json(self) -> dict[str, float]:
        return {"median": self.median, "low": self.low, "high": self.high, "rounds": self.rounds}


def ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> Spread | None:
    """Ours by theirs, round by round; rounds in which one of them is missing or zero say nothing."""
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True) if mine is not None and other])


def in_words(spread: Spread | None, digits: int = 0) -> str:
    """`1,234 (1,200 … 1,300)`; a dash for none."""
    if spread is None:
        return "–"
    middle = f"{spread.median:,.{digits}f}"
    return middle if spread.rounds == 1 else f"{middle} ({spread.low:,.{digits}f} … {spread.high:,.{digits}f})"
