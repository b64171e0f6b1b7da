"""How long a key must be remembered, by how late customers really came back with it.

In:      for each key and request the instants at which it was used, in order.
Out:     `KeyWindow`: the smallest window under which no retry would have been executed again, and for a list of
         windows how many would have been.
Units:   milliseconds.
Source:  CONTRACT, "Expiry": a key is valid while clock < completed_at + window; used later it is a new request,
         which begins a window of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_SECOND, _MINUTE, _HOUR = 1_000, 60_000, 3_600_000
CANDIDATES_MS: Final = (
    *(1 * _SECOND, 5 * _SECOND, 15 * _SECOND, 1 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE),
    *(1 * _HOUR, 6 * _HOUR, 24 * _HOUR, 72 * _HOUR, 7 * 24 * _HOUR),
)


@dataclass(frozen=True)
class Candidate:
    """What one window would have come to."""

    window_ms: int
    late_reexecutions: int


@dataclass(frozen=True)
class KeyWindow:
    """Of keys that were used more than once; without any, nothing is known and `smallest_safe_ms` is None."""

    keys_retried: int = 0
    retries: int = 0
    longest_tail_ms: int = 0  # from the first to the last use of one key
    smallest_safe_ms: int | None = None
    candidates: tuple[Candidate, ...] = tuple(Candidate(window_ms, 0) for window_ms in CANDIDATES_MS)

    def __add__(self, other: "KeyWindow") -> "KeyWindow":
        """Of two logs that have no key in common."""
        longest = max(self.longest_tail_ms, other.longest_tail_ms)
        keys = self.keys_retried + other.keys_retried
        return KeyWindow(
            keys,
            self.retries + other.retries,
            longest,
            longest + 1 if keys else None,
            tuple(
                Candidate(one.window_ms, one.late_reexecutions + two.late_reexecutions)
                for one, two in zip(self.candidates, other.candidates, strict=True)
            ),
        )


def window_of(uses: Iterable[Sequence[int]], candidates_ms: Sequence[int] = CANDIDATES_MS) -> KeyWindow:
    """`uses` has for each key the instants of its uses, ascending."""
    retried = [instants for instants in uses if len(instants) > 1]
    longest = max((instants[-1] - instants[0] for instants in retried), default=0)
    return KeyWindow(
        keys_retried=len(retried),
        retries=sum(len(instants) - 1 for instants in retried),
        longest_tail_ms=longest,
        smallest_safe_ms=longest + 1 if retried else None,
        candidates=tuple(
            Candidate(window_ms, sum(late_reexecutions(instants, window_ms) for instants in retried))
            for window_ms in candidates_ms
        ),
    )


def late_reexecutions(instants: Sequence[int], window_ms: int) -> int:
    """How often one key's uses would have been executed beyond the first."""
    again, since = 0, instants[0]
    for instant in instants[1:]:
        if instant >= since + window_ms:
            again, since = again + 1, instant
    return again
