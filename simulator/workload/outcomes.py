"""What became of one request, in the words that latencies are split by.

In:      the end of an attempt as the history tells it: kind, status, replayed.
Out:     one of OUTCOMES; it is also the tag in `latency.hlog`, so it holds no comma and no space.
Source:  CONTRACT, "HTTP". A replay is fast because nothing is executed, and a time-out is as long as somebody's
         patience: an average over both would say nothing about the system.
"""

from typing import Final

FRESH: Final = "fresh"  # 2xx, executed for this very request
REPLAY: Final = "replay"  # whatever the status: the answer of an earlier request under the same key
UNKNOWN: Final = "unknown"  # no answer in time, reset, or 504: it may have happened
ABANDONED: Final = "abandoned"  # the customer went away on its own account: no system could have answered
NOT_SENT: Final = "not_sent"  # no connection, nothing left the customer
OTHER: Final = "other"
STATUSES: Final = (402, 409, 422, 503)
OUTCOMES: Final = (FRESH, REPLAY, *map(str, STATUSES), UNKNOWN, ABANDONED, NOT_SENT, OTHER)


def outcome_of(kind: str, status: int | None = None, *, replayed: bool = False, abandoned: bool = False) -> str:
    """`kind` is ok, fail or info, as in the history."""
    if kind == "info":
        return ABANDONED if abandoned else UNKNOWN
    if status is None:
        return NOT_SENT
    if replayed:
        return REPLAY
    if 200 <= status < 300:
        return FRESH
    return str(status) if status in STATUSES else OTHER
