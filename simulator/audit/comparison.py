"""Three witnesses side by side: what the customer believes, what the key says, what the charges say.

Out:     `Comparison`: how many intents there are of each kind, those that disagree, and how long nobody knew.
Units:   money in minor units by currency; durations in milliseconds.

An intent was *delivered* once for each of its commands on the log, and *executed* once for each event that did what
was asked (a decline is none). `agrees` says whether the three can be true together.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from simulator.audit.money import add_money

DISAGREEING_MAX: Final = 100  # are listed; all are counted


class Belief(StrEnum):
    """What the customer takes for true when everything is over."""

    YES = "yes"  # a 2xx
    NO = "no"  # any other answer
    UNKNOWN = "unknown"  # no answer, and the request may have arrived
    NOT_SENT = "not_sent"  # provably nothing was done
    UNHEARD = "unheard"  # there is no history


class KeySays(StrEnum):
    """What `keys` says under the intent's key, or under the command itself."""

    SUCCESS = "success"
    REFUSAL = "refusal"
    OTHER = "other"  # it stands for another request
    EXPIRED = "expired"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Deliveries:
    """So many intents were delivered n times and executed m times."""

    delivered: int
    executed: int
    intents: int


@dataclass(frozen=True)
class Kind:
    """All intents about which the three say the same."""

    belief: Belief
    key: KeySays
    executed: int  # 0, 1, or 2 for more than once
    agrees: bool
    intents: int
    money: Mapping[str, int] = field(default_factory=dict)  # at stake, where they disagree


@dataclass(frozen=True)
class Disagreement:
    """One intent about which the three cannot all be right."""

    intent: str
    operation: str
    belief: Belief
    key: KeySays
    delivered: int
    executed: int
    money: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Certainty:
    """What became of unknown outcomes: the customer's request left, and no answer came."""

    attempts_unknown: int = 0
    attempts_succeeded: int = 0  # those of them that had in fact succeeded
    intents_unknown: int = 0  # with at least one such attempt
    intents_settled: int = 0  # those of them that were answered later
    never_settled: int = 0
    p50_ms: int | None = None  # from the first unknown outcome to the answer that settled it
    p99_ms: int | None = None
    max_ms: int | None = None
    money_unsettled: Mapping[str, int] = field(default_factory=dict)  # of intents that were never settled

    @property
    def share_succeeded(self) -> float | None:
        return self.attempts_succeeded / self.attempts_unknown if self.attempts_unknown else None


@dataclass(slots=True)
class Waits:
    """Unknown outcomes of a part of the customers; parts add up to `certainty`. Eight bytes for each wait."""

    attempts: int = 0
    succeeded: int = 0
    settled_ms: "array[int]" = field(default_factory=lambda: array("q"))
    never_settled: int = 0
    money_unsettled: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Waits") -> None:
        self.attempts += other.attempts
        self.succeeded += other.succeeded
        self.settled_ms.extend(other.settled_ms)
        self.never_settled += other.never_settled
        add_money(self.money_unsettled, other.money_unsettled)

    def certainty(self) -> Certainty:
        ascending = sorted(self.settled_ms)
        return Certainty(
            attempts_unknown=self.attempts,
            attempts_succeeded=self.succeeded,
            intents_unknown=len(ascending) + self.never_settled,
            intents_settled=len(ascending),
            never_settled=self.never_settled,
            p50_ms=percentile(ascending, 0.5),
            p99_ms=percentile(ascending, 0.99),
            max_ms=percentile(ascending, 1.0),
            money_unsettled=dict(self.money_unsettled),
        )


@dataclass(frozen=True)
class Comparison:
    intents: int = 0
    disagree: int = 0
    deliveries: tuple[Deliveries, ...] = ()
    kinds: tuple[Kind, ...] = ()
    disagreeing: tuple[Disagreement, ...] = ()  # some of them, DISAGREEING_MAX at most
    certainty: Certainty = field(default_factory=Certainty)

    def __add__(self, other: "Comparison") -> "Comparison":
        """Of two parts without an intent in common; `certainty` comes from the sum of their waits."""
        delivered: dict[tuple[int, int], int] = {}
        for one in (*self.deliveries, *other.deliveries):
            delivered[one.delivered, one.executed] = delivered.get((one.delivered, one.executed), 0) + one.intents
        kinds: dict[tuple[Belief, KeySays, int], Kind] = {}
        for kind in (*self.kinds, *other.kinds):
            name = kind.belief, kind.key, kind.executed
            before = kinds.get(name)
            kinds[name] = kind if before is None else _both(before, kind)
        return Comparison(
            self.intents + other.intents,
            self.disagree + other.disagree,
            tuple(Deliveries(*name, intents) for name, intents in sorted(delivered.items())),
            tuple(sorted(kinds.values(), key=_order)),
            (*self.disagreeing, *other.disagreeing)[:DISAGREEING_MAX],
        )


def _order(kind: Kind) -> tuple[bool, int, str, str, int]:
    """Disagreements first, then the most frequent."""
    return kind.agrees, -kind.intents, kind.belief, kind.key, kind.executed


def _both(one: Kind, other: Kind) -> Kind:
    money = {name: one.money.get(name, 0) + other.money.get(name, 0) for name in {**one.money, **other.money}}
    return Kind(one.belief, one.key, one.executed, one.agrees, one.intents + other.intents, money)


def agree(belief: Belief, key: KeySays, executed: int, *, keys_decide: bool) -> bool:
    """Whether all three can be true. Where keys decide nothing, what they say is no witness."""
    if executed == 0:
        return belief is not Belief.YES and not (keys_decide and key is KeySays.SUCCESS)
    missing = keys_decide and key in (KeySays.NOTHING, KeySays.REFUSAL)
    return executed == 1 and not missing and belief not in (Belief.NO, Belief.NOT_SENT)


def summed(intents: Iterable[tuple[Disagreement, bool]]) -> Comparison:
    """All intents, each with whether its witnesses agree."""
    delivered: dict[tuple[int, int], int] = {}
    kinds: dict[tuple[Belief, KeySays, int, bool], tuple[int, dict[str, int]]] = {}
    disagreeing: list[Disagreement] = []
    count = disagree = 0
    for intent, agrees in intents:
        count += 1
        times = intent.delivered, intent.executed
        delivered[times] = delivered.get(times, 0) + 1
        name = intent.belief, intent.key, min(intent.executed, 2), agrees
        before, money = kinds.get(name, (0, {}))
        kinds[name] = before + 1, money
        if not agrees:
            disagree += 1
            for currency, amount in intent.money.items():
                money[currency] = money.get(currency, 0) + amount
            if len(disagreeing) < DISAGREEING_MAX:
                disagreeing.append(intent)
    return Comparison(
        count,
        disagree,
        tuple(Deliveries(*times, number) for times, number in sorted(delivered.items())),
        tuple(sorted((Kind(*name, number, money) for name, (number, money) in kinds.items()), key=_order)),
        tuple(disagreeing),
    )


def percentile(ascending: Sequence[int], share: float) -> int | None:
    """The nearest rank: a value that was really seen."""
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)] if ascending else None
