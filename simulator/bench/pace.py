"""How many commands were answered when: from the log's stable ends seen while it ran, and the answers read later.

In:      samples (an instant, each partition's last stable offset, CPU seconds so far), the offsets of the replies.
Out:     Pace: commands a second over the whole run and while it ran steadily, and the CPU a command took meanwhile.
Units:   seconds; CPU in microseconds a command.
Source:  a last stable offset counts markers and whatever else is no reply; so how many replies lay below it is
         counted once the run is over, when that costs the run nothing.

Pure: no clock, nothing is read.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

STEADY_FROM: Final = 0.2  # of the answers: before that a virtual machine still compiles, and caches are cold


class Sample(NamedTuple):
    """One look: when, how far `replies` are stable in each partition, CPU seconds of the subject and of the broker."""

    at: float
    stable: Mapping[int, int]
    subject_cpu_s: float
    broker_cpu_s: float | None


class Point(NamedTuple):
    """A sample, its answers counted."""

    at: float
    answered: int
    subject_cpu_s: float
    broker_cpu_s: float | None


class Pace(NamedTuple):
    """What one run came to; the broker's CPU is None where it is not ours to see."""

    seconds: float  # from ready to the last answer
    whole_per_s: float
    steady_per_s: float
    subject_cpu_us: float  # a command, while it ran steadily
    broker_cpu_us: float | None
    whole_subject_cpu_us: float  # a command, from ready to the last answer


def points(samples: Sequence[Sample], offsets: Mapping[int, Sequence[int]]) -> list[Point]:
    """`offsets` are those of the committed replies, ascending, by partition."""
    return [
        Point(
            sample.at,
            sum(bisect_left(offsets[partition], end) for partition, end in sample.stable.items()),
            sample.subject_cpu_s,
            sample.broker_cpu_s,
        )
        for sample in samples
    ]


def pace(ready_at: float, seen: Sequence[Point]) -> Pace:
    """Of a run that answered something; `seen` begins before the first answer.

    Who answers before it says that it is ready is timed from the last look that saw no answer.
    """
    total = seen[-1].answered
    end = next(point for point in seen if point.answered == total)
    first = next(index for index, point in enumerate(seen) if point.answered)
    begin = _at_instant(ready_at, seen) if seen[first].at > ready_at else _moment(seen[first - 1])
    steady = _at_answer(STEADY_FROM * total, seen)
    seconds, steady_s = end.at - begin.at, end.at - steady.at
    count = total - steady.answered
    broker = None
    if end.broker_cpu_s is not None and steady.broker_cpu_s is not None:
        broker = (end.broker_cpu_s - steady.broker_cpu_s) / count * 1e6
    return Pace(
        seconds=seconds,
        whole_per_s=total / seconds,
        steady_per_s=count / steady_s,
        subject_cpu_us=(end.subject_cpu_s - steady.subject_cpu_s) / count * 1e6,
        broker_cpu_us=broker,
        whole_subject_cpu_us=(end.subject_cpu_s - begin.subject_cpu_s) / total * 1e6,
    )


def thinned(seen: Sequence[Point], most: int = 60) -> list[Point]:
    """As many of them as a picture needs, evenly, the first and the last among them."""
    step = max(1, -(-(len(seen) - 1) // (most - 1)))
    return [*seen[:-1:step], seen[-1]]


class _Moment(NamedTuple):
    at: float
    answered: float
    subject_cpu_s: float
    broker_cpu_s: float | None


def _moment(point: Point) -> _Moment:
    return _Moment(*point)


def _at_instant(at: float, seen: Sequence[Point]) -> _Moment:
    """On the line between the two looks around it."""
    after = next((index for index, point in enumerate(seen) if point.at > at), len(seen) - 1)
    before, behind = seen[max(0, after - 1)], seen[after]
    share = (at - before.at) / (behind.at - before.at) if behind.at > before.at else 0.0
    return _between(before, behind, min(1.0, max(0.0, share)))


def _at_answer(count: float, seen: Sequence[Point]) -> _Moment:
    """When the answer of this number came, on the line between the two looks around it."""
    after = next(index for index, point in enumerate(seen) if point.answered >= count)
    before, behind = seen[max(0, after - 1)], seen[after]
    many = behind.answered - before.answered
    return _between(before, behind, (count - before.answered) / many if many else 0.0)


def _between(before: Point, behind: Point, share: float) -> _Moment:
    def line(one: float, other: float) -> float:
        return one + (other - one) * share

    both = before.broker_cpu_s is not None and behind.broker_cpu_s is not None
    return _Moment(
        line(before.at, behind.at),
        line(before.answered, behind.answered),
        line(before.subject_cpu_s, behind.subject_cpu_s),
        line(before.broker_cpu_s or 0.0, behind.broker_cpu_s or 0.0) if both else None,
    )
