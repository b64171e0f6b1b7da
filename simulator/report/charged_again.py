"""Who was charged again, how much, why, and by which fault; and what the keys kept from happening.

In:      `Finished`.
Out:     rows for tables, plain values; money already in words.
Units:   counts of executions beyond the first; instants in seconds since the start of the run.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from simulator.audit.report import Repeat
from simulator.money_text import money_text
from simulator.report.finished import Finished
from simulator.report.folding import Try
from simulator.report.wording import CAUSES, amounts, clock, spaced, trigger_words

CUSTOMERS_MAX: Final = 200  # told one by one on the page; duplicates.jsonl has all
MERCHANTS_MAX: Final = 50


@dataclass
class Harm:
    """What some repeated executions did, added up."""

    count: int = 0
    intents: set[str] = field(default_factory=set)
    new_key: int = 0  # under another key than the customer's first: then every key was honoured
    money: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def add(self, repeat: Repeat, again: Try | None = None) -> None:
        self.count += 1
        self.new_key += again is not None and again.new_key
        self.intents.add(repeat.intent)
        self.money[repeat.effect][repeat.currency] += repeat.amount

    def row(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "operations": len(self.intents),
            "new_key": self.new_key,
            "taken_by_currency": dict(self.money.get("taken", {})),
            **{name: amounts(self.money.get(name, {}), "–") for name in ("taken", "held", "returned")},
        }


def by_trigger(finished: Finished) -> list[dict[str, Any]]:
    """The answer to *by which fault*: a group for each cause, in it a row for whatever set it off."""
    harms: dict[str, dict[str, Harm]] = defaultdict(lambda: defaultdict(Harm))
    for repeat in finished.repeats:
        harms[repeat.cause][finished.triggers.of_repeat(repeat)].add(repeat, finished.triggers.try_of(repeat))
    faults = finished.summary.get("faults", {})
    return [
        {
            "cause": cause,
            "words": CAUSES.get(cause, spaced(cause)),
            "count": sum(harm.count for harm in triggers.values()),
            "rows": [
                {"trigger": trigger, "words": trigger_words(trigger), "is_fault": trigger in faults, **harm.row()}
                for trigger, harm in sorted(triggers.items(), key=lambda item: (-item[1].count, item[0]))
            ],
        }
        for cause, triggers in sorted(harms.items(), key=lambda item: -sum(harm.count for harm in item[1].values()))
    ]


def by_persona(finished: Finished) -> list[dict[str, Any]]:
    """Which kind of customer was charged again, beside how many operations that kind meant."""
    harms: dict[str, Harm] = defaultdict(Harm)
    meant = Counter(operation.persona for operation in finished.told.operations.values())
    for repeat in finished.repeats:
        operation = finished.told.operations.get(repeat.intent)
        harms[operation.persona if operation else ""].add(repeat, finished.triggers.try_of(repeat))
    ordered = sorted(meant, key=lambda name: (-harms[name].count, name))
    return [{"persona": name, "meant": f"{meant[name]:,}", **harms[name].row()} for name in ordered]


def by_merchant(finished: Finished) -> list[dict[str, Any]]:
    harms: dict[str, Harm] = defaultdict(Harm)
    for repeat in finished.repeats:
        harms[repeat.merchant_id].add(repeat)
    ordered = sorted(harms.items(), key=lambda item: (-item[1].count, item[0]))[:MERCHANTS_MAX]
    return [{"merchant": merchant, **harm.row()} for merchant, harm in ordered]


def customers(finished: Finished) -> list[dict[str, Any]]:
    """One row for each repeated execution, those that took the most of each currency first."""
    largest: dict[str, int] = defaultdict(int)
    for repeat in finished.repeats:
        largest[repeat.currency] = max(largest[repeat.currency], repeat.amount)
    ordered = sorted(
        finished.repeats, key=lambda one: (one.effect != "taken", -one.amount / max(1, largest[one.currency]), one.at)
    )
    return [_customer(finished, repeat) for repeat in ordered[:CUSTOMERS_MAX]]


def _customer(finished: Finished, repeat: Repeat) -> dict[str, Any]:
    operation = finished.told.operations.get(repeat.intent)
    return {
        "at": clock((repeat.at - finished.told.began_at) / 1_000.0),
        "merchant": repeat.merchant_id,
        "intent": repeat.intent,
        "persona": spaced(operation.persona) if operation else "",
        "type": repeat.type,
        "effect": {"taken": "charged again", "held": "held again", "returned": "refunded again"}.get(
            repeat.effect, "done again"
        ),
        "money": money_text(repeat.amount, repeat.currency) if repeat.amount else "–",
        "cause": spaced(repeat.cause),
        "trigger": spaced(finished.triggers.of_repeat(repeat)),
        "place": f"charges {repeat.partition}@{repeat.offset}",
    }


def absorbed(finished: Finished) -> list[dict[str, Any]]:
    """Answers out of a key record, by what made the customer ask again: each would have been an execution more."""
    counts: Counter[str] = Counter()
    for operation in finished.told.operations.values():
        for one in operation.tries:
            if one.replayed:
                counts[finished.triggers.of_try(operation, one)] += 1
    faults = finished.summary.get("faults", {})
    return [
        {"trigger": name, "trigger_words": trigger_words(name), "is_fault": name in faults, "count": count}
        for name, count in counts.most_common()
    ]


def redelivered(finished: Finished) -> int:
    """Commands that rewinds brought back and that were answered again, as the faults wrote down."""
    return sum(_answered_again(detail) for strike in finished.told.strikes for _, detail in strike.hits)


def _answered_again(detail: Mapping[str, Any]) -> int:
    return int(detail.get("answered_again", 0))


def totals(repeats: Iterable[Repeat]) -> dict[str, dict[str, int]]:
    """Effect, currency: minor units."""
    harm = Harm()
    for repeat in repeats:
        harm.add(repeat)
    return {effect: dict(money) for effect, money in harm.money.items()}
