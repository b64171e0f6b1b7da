"""How long things took, as histograms by outcome: one for the whole run, and one for every second on its way.

In:      durations as they are measured, each with a name (an outcome, or `intent`).
Out:     `totals`: HdrHistograms for the run; each finished second to `on_second`.
Units:   nanoseconds inside, as HdrHistogram's own tools expect; milliseconds outside; three significant digits.
Errors:  none: a duration outside one microsecond and ten minutes is taken as the nearer end.
Source:  HdrHistogram. Its Python port takes microseconds for each recording, so what falls into one second is
         first counted by the index that HdrHistogram would find, and goes into a histogram when the second is over.

Bounded: whatever the rate, a second is some thousand counts, and a run is one histogram a name.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from hdrh.histogram import HdrHistogram

NS_MIN: Final = 1_000
NS_MAX: Final = 600 * 10**9
DIGITS: Final = 3
PERCENTILES: Final = (50.0, 90.0, 95.0, 99.0, 99.9)
_KEPT_BITS: Final = 11  # what three significant digits take
_STEPS_BITS: Final = 10
_SHIFT_MIN: Final = 9  # below 512 ns HdrHistogram, begun at NS_MIN, tells nothing apart

Second = int
OnSecond = Callable[[Second, Mapping[str, HdrHistogram]], None]


def _no_counts() -> defaultdict[str, defaultdict[int, int]]:
    return defaultdict(lambda: defaultdict(int))


def histogram() -> HdrHistogram:
    return HdrHistogram(NS_MIN, NS_MAX, DIGITS)


def _filled(counts: Mapping[int, int]) -> HdrHistogram:
    """A histogram of these counts by index."""
    made = histogram()
    for index, count in counts.items():
        made.counts[index] = count
    made.set_internal_tacking_values(min(counts), max(counts), sum(counts.values()))
    return made


def figures_ms(of: HdrHistogram | None) -> dict[str, float]:
    """p50 to p99.9 and max, in milliseconds; nothing where nothing was recorded: a zero would be a good figure."""
    if of is None or not of.get_total_count():
        return {}
    found = of.get_percentile_to_value_dict(list(PERCENTILES))
    found_ms = {f"p{percentile:g}": round(found[percentile] / 1e6, 3) for percentile in PERCENTILES}
    return {**found_ms, "max": round(of.get_max_value() / 1e6, 3)}


class Latencies:
    """`record` while it happens, `finish` once; then `totals` are complete."""

    def __init__(self, on_second: OnSecond = lambda _second, _histograms: None) -> None:
        self.totals: dict[str, HdrHistogram] = {}
        self.on_second = on_second
        self._second: Second = 0
        self._counts = _no_counts()

    def record(self, at_s: float, name: str, duration_s: float) -> None:
        """`at_s` is when it was over, in seconds from the start of the run; never much earlier than the last."""
        if at_s >= self._second + 1:
            self.finish()
            self._second = int(at_s)
        duration_ns = int(duration_s * 1e9)
        if not NS_MIN <= duration_ns <= NS_MAX:
            duration_ns = NS_MIN if duration_ns < NS_MIN else NS_MAX
        shift = duration_ns.bit_length() - _KEPT_BITS
        shift = max(shift, _SHIFT_MIN)
        # HdrHistogram's own index: each power of two has 1,024 steps, the first has twice as many.
        self._counts[name][((shift - _SHIFT_MIN) << _STEPS_BITS) + (duration_ns >> shift)] += 1

    def finish(self) -> None:
        """The second that is being counted is over."""
        if not self._counts:
            return
        told: dict[str, HdrHistogram] = {}
        for name, counts in sorted(self._counts.items()):
            told[name] = _filled(counts)
            self.totals.setdefault(name, histogram()).add(told[name])
        self._counts = _no_counts()
        self.on_second(self._second, told)

    def count(self, name: str) -> int:
        """How many of this name were recorded so far."""
        done = self.totals[name].get_total_count() if name in self.totals else 0
        return int(done) + (sum(self._counts[name].values()) if name in self._counts else 0)

    def add(self, other: Self) -> None:
        """What another load process measured; both must be finished."""
        for name, theirs in other.totals.items():
            self.totals.setdefault(name, histogram()).add(theirs)

    def to_json(self) -> dict[str, str]:
        return {name: total.encode().decode() for name, total in self.totals.items()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        latencies = cls()
        latencies.totals = {name: HdrHistogram.decode(encoded) for name, encoded in told.items()}
        return latencies
