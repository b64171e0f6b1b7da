"""What the customers' side of a run amounts to, counted while it happens.

Units:   latencies in microseconds inside, milliseconds outside; instants in seconds of a monotonic clock.
Source:  HdrHistogram; the latency of a purchase counts from the instant it was *planned* for (wrk2, Gil
         Tene), so that a stalled system cannot hide behind the requests it kept from being sent.
"""

from collections import Counter
from dataclasses import dataclass, field

from hdrh.histogram import HdrHistogram

LATENCY_US_MAX = 10 * 60 * 1_000_000


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, LATENCY_US_MAX, 3)


@dataclass
class Tally:
    planned: int = 0  # purchases the plan has
    begun: int = 0  # purchases whose customer has come
    dropped: int = 0  # purchases that found too many customers waiting already
    intents: int = 0  # operations meant to happen once
    settled: int = 0  # of those, answered in the end
    attempts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)  # ok, fail, info: one for each attempt
    statuses: Counter[int] = field(default_factory=Counter)
    replays: int = 0
    first_at: float | None = None
    last_at: float | None = None
    latency: HdrHistogram = field(default_factory=_histogram)

    @property
    def waiting(self) -> int:
        return self.intents - self.settled

    def settle(self, now: float, since: float) -> None:
        """An intent got its answer; `since` is when it was planned."""
        self.settled += 1
        self.first_at = since if self.first_at is None else min(self.first_at, since)
        self.last_at = now
        self.latency.record_value(max(1, min(LATENCY_US_MAX, round((now - since) * 1_000_000))))

    def percentile_ms(self, percentile: float) -> float:
        return float(self.latency.get_value_at_percentile(percentile)) / 1_000.0 if self.settled else 0.0

    @property
    def throughput_per_s(self) -> float:
        """Intents answered per second, from the first planned to the last answered."""
        if self.first_at is None or self.last_at is None or self.last_at <= self.first_at:
            return 0.0
        return self.settled / (self.last_at - self.first_at)
