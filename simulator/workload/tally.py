"""What the customers' side of a run amounts to, counted while it happens.

Units:   instants in seconds of a monotonic clock; durations in seconds; milliseconds where a name says so.
Source:  HdrHistogram; a latency counts from the instant a request was *planned* for (wrk2, Gil Tene), so that a
         stalled system cannot hide behind the requests it kept from being sent. Beside it stands the *service*
         time, from the send (wrk2's --u_latency): the difference is what a closed loop would have left out.

Counts are of the whole run; latencies leave out what was planned for the warm-up.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from simulator.workload.latencies import Latencies
from simulator.workload.latency_log import SERVICE
from simulator.workload.strain import Strain

INTENT: Final = "intent"  # from the plan of an operation to the answer that settled it, retries and all
LATENESS: Final = "lateness"  # from the plan of a purchase to its customer's coming
LATE_MS: Final = 10.0
_COUNTS: Final = ("planned", "begun", "late", "dropped", "intents", "settled", "attempts", "replays")


@dataclass
class Tally:
    warm_up_s: float = 0.0
    planned: int = 0  # purchases the plan has
    begun: int = 0  # purchases whose customer has come
    late: int = 0  # of those, more than LATE_MS after the planned instant
    dropped: int = 0  # purchases that found too many customers waiting already
    intents: int = 0  # operations meant to happen once
    settled: int = 0  # of those, answered in the end
    attempts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)  # ok, fail, info: one for each attempt
    statuses: Counter[int] = field(default_factory=Counter)
    replays: int = 0
    began: float = 0.0
    first_at: float | None = None
    last_at: float | None = None
    latencies: Latencies = field(default_factory=Latencies)
    strain: Strain = field(default_factory=Strain)

    @property
    def waiting(self) -> int:
        return self.intents - self.settled

    def measures(self, planned_at: float) -> bool:
        """Whether what was planned for then counts: the warm-up is over."""
        return planned_at - self.began >= self.warm_up_s

    def arrive(self, now: float, due: float) -> None:
        """A customer comes, planned for `due`."""
        self.begun += 1
        self.late += (now - due) * 1_000.0 > LATE_MS
        if self.measures(due):
            self.latencies.record(now - self.began, LATENESS, max(0.0, now - due))

    def attempt(self, now: float, outcome: str, due: float, sent_at: float | None) -> None:
        """A request has ended; `sent_at` is None when it never left."""
        if self.measures(due):
            self.latencies.record(now - self.began, outcome, now - due)
            if sent_at is not None:
                self.latencies.record(now - self.began, outcome + SERVICE, now - sent_at)

    def settle(self, now: float, since: float) -> None:
        """An intent got its answer; `since` is when it was planned."""
        self.settled += 1
        if self.measures(since):
            self.first_at = since if self.first_at is None else min(self.first_at, since)
            self.last_at = now
            self.latencies.record(now - self.began, INTENT, now - since)

    @property
    def throughput_per_s(self) -> float:
        """Intents answered per second, from the first planned to the last answered; the warm-up left out."""
        if self.first_at is None or self.last_at is None or self.last_at <= self.first_at:
            return 0.0
        return self.latencies.count(INTENT) / (self.last_at - self.first_at)

    # -- several load processes ----------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Everything but what is still on its way: call it when the load is over."""
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "warm_up_s": self.warm_up_s,
            "began": self.began,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "outcomes": dict(self.outcomes),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "latencies": self.latencies.to_json(),
            "strain": self.strain.to_json(),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        return cls(
            **{name: told[name] for name in (*_COUNTS, "warm_up_s", "began", "first_at", "last_at")},
            outcomes=Counter(told["outcomes"]),
            statuses=Counter({int(status): count for status, count in told["statuses"].items()}),
            latencies=Latencies.from_json(told["latencies"]),
            strain=Strain.from_json(told["strain"]),
        )

    def add(self, other: Self) -> None:
        """What another load process of the same run counted; the monotonic clock is the machine's."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.outcomes += other.outcomes
        self.statuses += other.statuses
        firsts = [first for first in (self.first_at, other.first_at) if first is not None]
        lasts = [last for last in (self.last_at, other.last_at) if last is not None]
        self.first_at, self.last_at = min(firsts, default=None), max(lasts, default=None)
        self.latencies.add(other.latencies)
        self.strain.add(other.strain)
