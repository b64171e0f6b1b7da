"""The ledger as the auditor is given it, and the sums it should have come to.

In:      entries, postings, balances and positions out of the ledger's database (`simulator.ledger_reader`).
Out:     `Books`; `postings`: how each event must be booked; `fold`: balances recomputed from charge events.
Units:   minor units; a debit is positive, a credit negative. `positions` are next offsets of `charges`.
Source:  CONTRACT, "Balance". Every event record is booked: below exactly-once an event_id may repeat, and
         counts again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from simulator.audit.declared import EVENTS, Of
from simulator.audit.records import Event


class Balance(NamedTuple):
    """Open holds now; captured and refunded ever; net = captured - refunded."""

    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    net: int = 0


class Booked(NamedTuple):
    """One entry of the journal: which event it says it books, and its postings added up."""

    event_type: str
    merchant_id: str
    currency: str
    amount: int


@dataclass(slots=True)
class Books:
    """The journal by the place of its record in `charges`, and what the ledger made of it."""

    positions: dict[int, int] = field(default_factory=dict)
    entries: dict[tuple[int, int], Booked] = field(default_factory=dict)
    postings: dict[tuple[int, int], list[tuple[str, str, int]]] = field(
        default_factory=dict
    )  # account, currency, amount
    balances: dict[tuple[str, str], Balance] = field(default_factory=dict)  # merchant, currency
    is_part: bool = False  # of the journal: then the balances are not its sums


def postings(event: Event) -> list[tuple[str, str, int]]:
    """Account, currency and amount of every line that the event must be booked with."""
    kind = EVENTS.get(event.type)
    lines = []
    for move in kind.moves if kind else ():
        amount = event.amount if move.of is Of.EVENT else int(event.charge["amount"])
        lines += [(move.debit, event.currency, amount), (move.credit, event.currency, -amount)]
    return lines


def effect(event: Event) -> Balance:
    """What one event does to its merchant's balance."""
    authorized = captured = refunded = paid = 0
    for account, _, amount in postings(event):
        match account:
            case "authorizations":  # credited with each hold
                authorized -= amount
            case "captures":
                captured -= amount
            case "refunds":
                refunded += amount
            case "customer_payments":
                paid += amount
    return Balance(authorized, captured, refunded, paid)


def fold(
    events: Iterable[Event], before: Mapping[tuple[str, str], Balance] | None = None
) -> dict[tuple[str, str], Balance]:
    """The balances of every merchant and currency after these events."""
    totals: dict[tuple[str, str], Balance] = dict(before or {})
    for event in events:
        name = event.merchant_id, event.currency
        so_far, change = totals.get(name, Balance()), effect(event)
        totals[name] = Balance(*(old + new for old, new in zip(so_far, change, strict=True)))
    return totals
