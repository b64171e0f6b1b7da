"""Which fault strikes when: decided before the run begins.

In:      a seed, a duration, the faults of a scenario.
Out:     strikes in order of time.
Units:   seconds from the start of the run, in fields ending _s.
Source:  pure: the same arguments give the same plan. The last strike leaves time for its effect to be seen.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from simulator.faults.base import Fault
from simulator.seeded import seeded

LAST_SHARE = 0.8  # nothing begins after this share of a short run: a death and a take-over take seconds
LAST_S = 30.0  # nor in the last seconds of a long one
JITTER = 0.1  # of the distance between two strikes, either way
LASTS_SHARE = 0.3  # a fault that lasts as long as it likes covers at most this share of a short run


@dataclass(frozen=True, slots=True)
class Strike:
    at_s: float
    fault: Fault
    number: int  # of this fault, from 1
    lasts_s: float


def plan_strikes(seed: int, duration_s: float, faults: Sequence[Fault]) -> tuple[Strike, ...]:
    """At least one strike of every fault, however short the run; at named instants where it has some."""
    strikes: list[Strike] = []
    counts: Counter[str] = Counter()
    entries: Counter[str] = Counter()
    for fault in faults:
        # A fault that is listed twice has two sources of chance.
        rng = seeded(seed, "faults", fault.name, *([entries[fault.name]] if entries[fault.name] else []))
        entries[fault.name] += 1
        lasts_s = min(fault.cadence.lasts_s, LASTS_SHARE * duration_s) if fault.lasts is None else fault.lasts
        for at_s in fault.at or _moments(fault, duration_s, rng):
            counts[fault.name] += 1
            strikes.append(Strike(at_s, fault, counts[fault.name], lasts_s))
    return tuple(sorted(strikes, key=lambda strike: (strike.at_s, strike.fault.name)))


def _moments(fault: Fault, duration_s: float, rng: Random) -> Iterator[float]:
    cadence = fault.cadence
    every_s = cadence.every_s if fault.every is None else fault.every
    first_s = min(cadence.first_s, cadence.share * duration_s) if fault.first is None else fault.first
    moment_s = first_s
    last_s = max(LAST_SHARE * duration_s, duration_s - LAST_S)
    while moment_s == first_s or moment_s < last_s:
        yield moment_s + rng.uniform(-JITTER, JITTER) * min(every_s, moment_s)
        moment_s += every_s
