"""Who comes when and wants what: the whole run's customers, decided before it begins.

In:      a seed, a rate, a duration, the merchants.
Out:     purchases in order of arrival: a charge, and what the customer or the merchant does with it
         afterwards.
Units:   instants and pauses in milliseconds from the start of the run; amounts in minor units.
Errors:  ValueError on a rate or duration that is not positive, or without merchants.
Source:  pure: the same arguments give the same plan, whatever the system does (open loop; wrk2, k6).

Each purchase draws from a random generator of its own, seeded by run and number, so that a longer run begins
with the same customers as a shorter one.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from events.operations.capture_charge import CAPTURE_CHARGE
from events.operations.create_charge import CREATE_CHARGE
from events.operations.create_refund import CREATE_REFUND
from events.operations.void_charge import VOID_CHARGE
from simulator.seeded import seeded
from simulator.workload.personas import PERSONAS

# What merchants charge in, by share; jpy has no minor unit and kwd has three digits of it.
CURRENCIES: Final = {"eur": 40, "usd": 30, "gbp": 12, "jpy": 10, "kwd": 8}

# Nine cards in ten are good; the others are declined, each for its own reason.
CARDS: Final = {
    "pm_card_visa": 91,
    "pm_card_insufficient_funds": 4,
    "pm_card_declined": 2,
    "pm_card_expired": 1,
    "pm_card_incorrect_cvc": 1,
    "pm_card_processing_error": 1,
}

# What can be done with a charge once it is made.
ACTS: Final = {"capture": CAPTURE_CHARGE, "void": VOID_CHARGE, "refund": CREATE_REFUND}

# What becomes of a purchase: most are paid at once, some are held first, some are given back.
STORIES: Final = {
    ("pay",): 66,
    ("pay", "refund"): 9,
    ("pay", "refund_part"): 5,
    ("hold", "capture"): 8,
    ("hold", "capture_part"): 4,
    ("hold", "void"): 5,
    ("hold", "capture", "refund"): 3,
}

ZIPF_EXPONENT: Final = 1.1  # a few merchants have most customers; the first of 8 gets about two in five


@dataclass(frozen=True, slots=True)
class Step:
    """One operation a customer means to happen exactly once."""

    intent: str
    operation: str
    payload: dict[str, Any]
    pause_ms: float  # after the step before it was answered


@dataclass(frozen=True, slots=True)
class Purchase:
    at_ms: float
    number: int
    merchant_id: str
    persona: str
    charge: Step
    afterwards: tuple[Step, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        return (self.charge, *self.afterwards)


def plan_purchases(
    seed: int, rate_per_s: float, duration_ms: float, merchants: Sequence[str], salt: str = ""
) -> tuple[Purchase, ...]:
    """`salt` goes into the names of the intents, for a log on which an earlier run left its own."""
    if rate_per_s <= 0 or duration_ms <= 0:
        raise ValueError(f"a rate of {rate_per_s}/s for {duration_ms} ms plans no customer")
    if not merchants:
        raise ValueError("no merchant to pay")
    arrivals = seeded(seed, "arrivals")
    purchases: list[Purchase] = []
    at_ms = 0.0
    for number in itertools.count(1):
        at_ms += arrivals.expovariate(rate_per_s / 1_000.0)
        if at_ms >= duration_ms:
            return tuple(purchases)
        purchases.append(_purchase(seed, number, at_ms, merchants, salt))
    raise AssertionError("unreachable: the count never ends")


def customer_rng(seed: int, intent: str) -> Random:
    """The choices of the customer behind one intent: keys, clicks, patience."""
    return seeded(seed, "customer", intent)


def _purchase(seed: int, number: int, at_ms: float, merchants: Sequence[str], salt: str) -> Purchase:
    rng = seeded(seed, "purchase", number)
    weights = [1.0 / (rank + 1) ** ZIPF_EXPONENT for rank in range(len(merchants))]
    merchant_id = rng.choices(list(merchants), weights)[0]
    # A merchant has one currency; which one is the merchant's own, not the run's.
    currency = _weighted(seeded("currency", merchant_id), CURRENCIES)
    amount = max(1, min(99_999_999, round(rng.lognormvariate(7.6, 1.0))))  # median about 20.00
    story = _weighted(rng, STORIES)
    intent = f"i-{salt}{number:06d}"
    payload: dict[str, Any] = {
        "amount": amount,
        "currency": currency,
        "payment_method": _weighted(rng, CARDS),
    }
    if story[0] == "hold":
        payload["capture"] = False
    payload["metadata"] = {"intent": intent}
    charge = Step(intent, CREATE_CHARGE.name, payload, 0.0)
    return Purchase(
        at_ms=at_ms,
        number=number,
        merchant_id=merchant_id,
        persona=rng.choices([persona.name for persona in PERSONAS], [persona.weight for persona in PERSONAS])[0],
        charge=charge,
        afterwards=tuple(_follow_up(rng, intent, amount, act) for act in story[1:]),
    )


def _follow_up(rng: Random, intent: str, amount: int, act: str) -> Step:
    payload: dict[str, Any] = {}
    if act.endswith("_part"):
        payload["amount"] = rng.randint(1, amount)
    name = act.removesuffix("_part")
    return Step(f"{intent}-{name}", ACTS[name].name, payload, rng.uniform(20.0, 800.0))


def _weighted(rng: Random, shares: dict[Any, int]) -> Any:
    return rng.choices(list(shares), list(shares.values()))[0]
