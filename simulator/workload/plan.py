"""Who comes when and wants what: the whole run's customers, decided before it begins.

In:      a seed, a scenario's load, the merchants.
Out:     purchases in order of arrival: a charge, and what the customer or the merchant does with it
         afterwards.
Units:   instants and pauses in milliseconds from the start of the run; amounts in minor units.
Errors:  ValueError without merchants.
Source:  pure: the same arguments give the same plan, whatever the system does (open loop; wrk2, k6).

Each purchase draws from a random generator of its own, seeded by run and number, so that a longer run begins
with the same customers as a shorter one.
"""

import math
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from statistics import NormalDist
from typing import Any, Final, NamedTuple

from events.operations.capture_charge import CAPTURE_CHARGE
from events.operations.create_charge import CREATE_CHARGE
from events.operations.create_refund import CREATE_REFUND
from events.operations.void_charge import VOID_CHARGE
from simulator.scenario.models import Load, Stage, acts, mu
from simulator.seeded import Chance, seeded

# What can be done with a charge once it is made.
ACTS: Final = {"capture": CAPTURE_CHARGE, "void": VOID_CHARGE, "refund": CREATE_REFUND}
LEAST_CHANCE: Final = 2.0**-54  # for a chance of 0, which is no chance of a normal distribution

_normal = NormalDist().inv_cdf


class Step(NamedTuple):
    """One operation a customer means to happen exactly once."""

    intent: str
    operation: str
    payload: dict[str, Any]
    pause_ms: float  # after the step before it was answered


class Purchase(NamedTuple):
    at_ms: float
    number: int
    merchant_id: str
    persona: str
    charge: Step
    afterwards: tuple[Step, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        return (self.charge, *self.afterwards)

    def step(self, number: int) -> Step:
        """The charge is number 0."""
        return self.afterwards[number - 1] if number else self.charge


def plan_purchases(seed: int, load: Load, merchants: Sequence[str], salt: str = "") -> tuple[Purchase, ...]:
    """`salt` goes into the names of the intents, for a log on which an earlier run left its own."""
    return tuple(stream_purchases(seed, load, merchants, salt))


def stream_purchases(
    seed: int,
    load: Load,
    merchants: Sequence[str],
    salt: str = "",
    wanted: Callable[[int], bool] = lambda _number: True,
) -> Iterator[Purchase]:
    """The same, one after the other, and only of `wanted` numbers: a long plan need not be in memory, or in one."""
    if not merchants:
        raise ValueError("no merchant to pay")
    moments = arrivals(load.stages, seeded(seed, "arrivals"))
    mixes = Mixes.of(load, merchants)
    return (_purchase(seed, number, at_ms, mixes, salt) for number, at_ms in enumerate(moments, 1) if wanted(number))


def arrivals(stages: Sequence[Stage], chance: Random) -> Iterator[float]:
    """The instants of a Poisson process whose rate is that of the stages, in milliseconds.

    Unit exponential steps along the integral of the rate, and back to time: the same chance at twice the rate
    gives the same customers in half the time.
    """
    reached = chance.expovariate(1.0)  # along the integral
    begun_s, before = 0.0, 0.0
    for stage in stages:
        whole = stage.for_ * (stage.rate + stage.last_rate) / 2.0
        while reached < before + whole:
            yield (begun_s + _time_of(stage, reached - before)) * 1_000.0
            reached += chance.expovariate(1.0)
        begun_s, before = begun_s + stage.for_, before + whole


def _time_of(stage: Stage, arrived: float) -> float:
    """Seconds into the stage when this many customers are to be expected: rate * t + slope * t^2 / 2 solved for t."""
    slope = (stage.last_rate - stage.rate) / stage.for_
    # The form that does not divide by the slope, which may be 0.
    return 2.0 * arrived / (stage.rate + math.sqrt(max(0.0, stage.rate**2 + 2.0 * slope * arrived)))


def merchant_names(count: int) -> list[str]:
    """Those of a stack of our own, in the order in which a run ranks them."""
    return sorted(f"merchant_{number}" for number in range(1, count + 1))


def customer_rng(seed: int, intent: str) -> Chance:
    """The choices of the customer behind one intent: keys, clicks, patience."""
    return Chance(f"{seed}/customer/{intent}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing among several, with weights."""

    names: Sequence[str]
    reached: Sequence[float]  # the weights added up

    @classmethod
    def of(cls, mix: Mapping[str, float]) -> "Choice":
        return cls(list(mix), list(accumulate(mix.values())))

    def draw(self, rng: Random | Chance) -> str:
        """As Random.choices draws, which adds the weights up anew each time: a plan has millions of these."""
        return self.names[bisect(self.reached, rng.random() * self.reached[-1], 0, len(self.names) - 1)]


@dataclass(frozen=True, slots=True)
class Mixes:
    """What a load is mixed of, ready to be drawn from."""

    merchants: Choice
    personas: Choice
    journeys: Choice
    acts: Mapping[str, Sequence[str]]  # of each journey
    cards: Choice
    least: int  # of amounts, which are log-normal
    most: int
    median_log: float
    spread: float
    currency_of: Mapping[str, str]  # a merchant has one; which one is the merchant's own, not the run's

    @classmethod
    def of(cls, load: Load, merchants: Sequence[str]) -> "Mixes":
        currencies = Choice.of(load.currencies)
        return cls(
            Choice.of({name: 1.0 / rank**load.merchants.zipf for rank, name in enumerate(merchants, 1)}),
            Choice.of(load.personas),
            Choice.of(load.journeys),
            {journey: acts(journey) for journey in load.journeys},
            Choice.of(load.cards),
            load.amounts.least,
            load.amounts.most,
            mu(load.amounts),
            load.amounts.spread,
            {merchant: currencies.draw(seeded("currency", merchant)) for merchant in merchants},
        )


def _purchase(seed: int, number: int, at_ms: float, mixes: Mixes, salt: str) -> Purchase:
    rng = Chance(f"{seed}/purchase/{number}")
    merchant_id = mixes.merchants.draw(rng)
    normal = _normal(rng.random() or LEAST_CHANCE)
    amount = max(mixes.least, min(mixes.most, round(math.exp(mixes.median_log + mixes.spread * normal))))
    first, *later = mixes.acts[mixes.journeys.draw(rng)]
    intent = f"i-{salt}{number:06d}"
    payload: dict[str, Any] = {
        "amount": amount,
        "currency": mixes.currency_of[merchant_id],
        "payment_method": mixes.cards.draw(rng),
    }
    if first == "hold":
        payload["capture"] = False
    payload["metadata"] = {"intent": intent}
    return Purchase(
        at_ms=at_ms,
        number=number,
        merchant_id=merchant_id,
        persona=mixes.personas.draw(rng),
        charge=Step(intent, CREATE_CHARGE.name, payload, 0.0),
        afterwards=tuple(_follow_up(rng, intent, amount, act, later[:place]) for place, act in enumerate(later)),
    )


def _follow_up(rng: Chance, intent: str, amount: int, act: str, before: Sequence[str]) -> Step:
    """Each is meant once for itself: a second refund of a purchase is another intent than the first."""
    payload: dict[str, Any] = {}
    if act.endswith("_part"):
        payload["amount"] = rng.randint(1, amount)
    name = act.removesuffix("_part")
    again = sum(one.removesuffix("_part") == name for one in before)
    return Step(
        f"{intent}-{name}-{again + 1}" if again else f"{intent}-{name}",
        ACTS[name].name,
        payload,
        rng.uniform(20.0, 800.0),
    )
