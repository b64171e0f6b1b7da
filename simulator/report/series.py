"""A run over time, in buckets: what was planned, sent and answered, how long it took, what went wrong.

In:      `Told` (the folded history) and the repeated executions.
Out:     `Series`: columns of equal length, one place a bucket; `percentile`.
Units:   seconds from the start of the run; latencies in milliseconds from the planned instant; money in minor units.
Source:  a latency is drawn at the instant the customer was *planned* to come (wrk2), so that a stall shows where it
         hurt. Percentiles are of all values, no histogram between.

There are at most BUCKETS_MAX buckets whatever the run, so that a page stays small.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Any, Final

from simulator.audit.report import Repeat
from simulator.report.folding import Told

BUCKETS_MAX: Final = 150
BUCKETS_MIN: Final = 24
OPERATIONS_MIN: Final = 15  # in a bucket on average: percentiles of fewer jump about
WIDTHS_MS: Final = (100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 3_600_000)
BINS_PER_DECADE: Final = 8  # of the heat map's latencies
OUTCOMES: Final = ("done", "replayed", "refused", "failed", "unknown")
STORIES: Final = ("at_once", "after_asking_again", "refused", "no_answer")
PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)
CURVE: Final = (0, 10, 25, 50, 60, 70, 75, 80, 85, 90, 92, 94, 95, 96, 97, 98, 98.5, 99, 99.5, 99.7, 99.9, 99.99, 100)


def percentile(ordered: Sequence[int], wanted: float) -> int:
    """A value that was really seen, of the rank that HdrHistogram takes: report.json and latency.hlog say the same."""
    return ordered[max(1, math.floor(len(ordered) * wanted / 100.0 + 0.5)) - 1]


@dataclass
class Series:
    began_at: int
    width_ms: int
    length: int
    columns: dict[str, list[int]] = field(default_factory=dict)
    latency: dict[str, list[list[int]]] = field(default_factory=dict)  # story: bucket: values, in order
    measured: dict[str, list[int]] = field(default_factory=dict)  # story: values in order, without the warm-up

    @property
    def starts_s(self) -> list[float]:
        return [index * self.width_ms / 1_000.0 for index in range(self.length)]

    def of(self, story: str) -> list[int]:
        """All latencies of a story, in order, without the warm-up; of every story for `all`."""
        return list(merge(*self.measured.values())) if story == "all" else self.measured.get(story, [])

    def quantile(self, story: str, wanted: float) -> list[int | None]:
        """One percentile, bucket by bucket; None where nobody was answered."""
        merged = self._merged(story)
        return [percentile(bucket, wanted) if bucket else None for bucket in merged]

    def heat(self, story: str) -> list[tuple[int, int, int]]:
        """(bucket, bin, how many): bins are BINS_PER_DECADE to a power of ten, from 1 ms."""
        cells = Counter(
            (index, latency_bin(value)) for index, bucket in enumerate(self._merged(story)) for value in bucket
        )
        return [(index, bin_, count) for (index, bin_), count in sorted(cells.items())]

    def _merged(self, story: str) -> list[list[int]]:
        if story != "all":
            return self.latency.get(story, [[] for _ in range(self.length)])
        return [sorted(v for buckets in self.latency.values() for v in buckets[i]) for i in range(self.length)]


def latency_bin(latency_ms: int) -> int:
    return math.floor(math.log10(max(1, latency_ms)) * BINS_PER_DECADE)


def series(told: Told, repeats: Iterable[Repeat] = (), measured_from: int = 0) -> Series:
    """`measured_from` is when the warm-up ended: percentiles leave out what was planned before, buckets do not."""
    began_at = told.began_at
    repeats = list(repeats)
    end = max([told.last_at, began_at + 1, *(one.at for one in repeats)])
    wanted = min(BUCKETS_MAX, max(BUCKETS_MIN, len(told.operations) // OPERATIONS_MIN))
    width = next((w for w in WIDTHS_MS if (end - began_at) / w < wanted), WIDTHS_MS[-1])
    found = Series(began_at, width, (end - began_at) // width + 1)
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    latency: dict[str, list[list[int]]] = {name: [[] for _ in range(found.length)] for name in STORIES[:3]}

    def bucket(at: int) -> int:
        return min(max(0, (at - began_at) // width), found.length - 1)

    for operation in told.operations.values():
        counts["planned"][bucket(operation.planned_at)] += 1
        settled, story = operation.settled, operation.story
        if settled is None or settled.ended_at is None:
            counts["no_answer"][bucket(operation.planned_at)] += 1
        else:
            counts["answered"][bucket(settled.ended_at)] += 1
            latency[story][bucket(operation.planned_at)].append(operation.latency_ms or 0)
            if operation.planned_at >= measured_from:
                found.measured.setdefault(story, []).append(operation.latency_ms or 0)
        for one in operation.tries:
            counts["sent"][bucket(one.at)] += 1
            if one.ended_at is not None:
                counts[one.outcome][bucket(one.ended_at)] += 1
    for repeat in repeats:
        counts[f"repeat {repeat.cause}"][bucket(repeat.at)] += 1
        if repeat.effect == "taken":
            counts[f"overcharged {repeat.currency}"][bucket(repeat.at)] += repeat.amount
    for name in ("planned", "sent", "answered", "no_answer", *OUTCOMES):
        counts[name]  # a column without a single count is a column of zeros
    for buckets in latency.values():
        for values in buckets:
            values.sort()
    for measured in found.measured.values():
        measured.sort()
    found.latency = latency
    found.columns = {name: [counted[i] for i in range(found.length)] for name, counted in counts.items()}
    return found


def curve(ordered: Sequence[int]) -> list[tuple[float, int]]:
    """(percentile, milliseconds): the points a percentile curve is drawn through; none beyond what was measured."""
    if not ordered:
        return []
    seen = [point for point in CURVE if point <= 50 or point == 100 or (100 - point) / 100 * len(ordered) >= 1]
    return [(float(point), percentile(ordered, point)) for point in seen]


def told_percentiles(ordered: Sequence[int]) -> Mapping[str, Any]:
    return {f"p{point:g}": percentile(ordered, point) if ordered else None for point in PERCENTILES}
