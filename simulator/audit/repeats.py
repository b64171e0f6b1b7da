"""Every execution beyond the first, one by one: who was charged again, when, how much and why.

In:      the evidence, the findings of duplicate_charge.
Out:     `Repeat`s in the order of the log's timestamps; `effect_of` an event type on the customer's money.
Units:   instants in Unix milliseconds, the log's; amounts in minor units.
Source:  the findings themselves: their number and their money are those of the report's counts.
"""

from collections.abc import Iterable, Iterator

from simulator.audit.declared import HOLDS, MOVES, TAKES
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.records import Event
from simulator.audit.report import Repeat


def effect_of(kind: str) -> str:
    """taken, held or returned; none for what moves no money of the customer's, such as a void."""
    if kind in TAKES:
        return "taken"
    if kind in HOLDS:
        return "held"
    return "returned" if kind in MOVES else "none"


def repeats(evidence: Evidence, duplicates: Iterable[Finding]) -> tuple[Repeat, ...]:
    return tuple(sorted(_repeats(evidence, duplicates), key=lambda one: (one.at, one.partition, one.offset)))


def _repeats(evidence: Evidence, duplicates: Iterable[Finding]) -> Iterator[Repeat]:
    for finding in duplicates:
        first, again = finding.proof[-2:]  # duplicate_charge puts the two executions last
        if not (isinstance(first, Event) and isinstance(again, Event)):
            continue
        asked = [command.timestamp for command in evidence.commands_of.get(again.identity, ())]
        yield Repeat(
            at=again.timestamp,
            asked_at=min(asked, default=0),
            intent=finding.intent,
            merchant_id=again.merchant_id,
            type=again.type,
            charge_id=again.charge_id,
            cause=finding.cause or "",
            effect=effect_of(again.type),
            amount=again.money.get(again.currency, 0),
            currency=again.currency,
            partition=again.partition,
            offset=again.offset,
            first_offset=first.offset,
        )
