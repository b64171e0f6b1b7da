"""Which fault strikes when: decided before the run begins.

In:      a seed, a duration, the faults.
Out:     strikes in order of time.
Units:   seconds from the start of the run, in fields ending _s.
Source:  pure: the same arguments give the same plan. The last strike leaves time for its effect to be seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.faults.base import Fault
from simulator.seeded import seeded

LAST_SHARE = 0.8  # nothing begins after this share of the run: a death and a take-over take seconds
JITTER = 0.1  # of the distance between two strikes, either way
LASTS_SHARE = 0.3  # a fault that lasts covers at most this share of a short run


@dataclass(frozen=True, slots=True)
class Strike:
    at_s: float
    fault: str
    number: int  # of this fault, from 1
    lasts_s: float


def plan_strikes(seed: int, duration_s: float, faults: Sequence[Fault]) -> tuple[Strike, ...]:
    """At least one strike of every fault, however short the run."""
    strikes: list[Strike] = []
    for fault in faults:
        rng = seeded(seed, "faults", fault.name)
        cadence = fault.cadence
        moment_s = min(cadence.first_s, cadence.share * duration_s)
        number = 0
        while number == 0 or moment_s < LAST_SHARE * duration_s:
            number += 1
            shift_s = rng.uniform(-JITTER, JITTER) * min(cadence.every_s, moment_s)
            lasts_s = min(cadence.lasts_s, LASTS_SHARE * duration_s)
            strikes.append(Strike(moment_s + shift_s, fault.name, number, lasts_s))
            moment_s += cadence.every_s
    return tuple(sorted(strikes, key=lambda strike: (strike.at_s, strike.fault)))
