"""What a charge event means in a double-entry ledger. Pure.

In:      an event's type, its amount, and the amount the charge was authorized for.
Out:     postings that add up to zero, and what they do to the four balances of a merchant in one currency.
Units:   minor units; a debit is positive, a credit negative.
Errors:  UnknownEvent; every type of the contract is known.
Source:  CONTRACT, "Event types"; which accounts an event moves stands in `events/charge_events`, and no event is
         named here. Below exactly-once an event may repeat, so sums may go below zero: the ledger books what
         stands on the log and judges nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from events.charge_events import BY_NAME
from events.charge_events.base import AUTHORIZATIONS, CAPTURES, CUSTOMER_PAYMENTS, REFUNDS, Of


class UnknownEvent(ValueError):
    """An event type that this ledger has no rule for."""


class Posting(NamedTuple):
    account: str
    amount: int


Lines = tuple[Posting, ...]
Book = Callable[[Lines], tuple[Lines, Lines]]  # an entry's postings to those to write, and those to count in balances


class Balance(NamedTuple):
    """A merchant's totals in one currency, or a change of them."""

    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    net: int = 0

    def plus(self, change: "Balance") -> "Balance":
        return Balance(
            self.authorized + change.authorized,
            self.captured + change.captured,
            self.refunded + change.refunded,
            self.net + change.net,
        )


def postings(event_type: str, amount: int, authorized_amount: int) -> tuple[Posting, ...]:
    """The postings of one event, debit before credit."""
    kind = BY_NAME.get(event_type)
    if kind is None:
        raise UnknownEvent(f"{event_type!r} is not an event of this ledger")
    lines: list[Posting] = []
    for debit, credit, of in kind.moves:
        moved = authorized_amount if of is Of.CHARGE else amount
        lines += (Posting(debit, moved), Posting(credit, -moved))
    return tuple(lines)


def faithfully(lines: Lines) -> tuple[Lines, Lines]:
    return lines, lines


def effect(lines: Iterable[Posting]) -> Balance:
    """What postings do to the balances."""
    sums: Counter[str] = Counter()
    for account, amount in lines:
        sums[account] += amount
    return Balance(-sums[AUTHORIZATIONS], -sums[CAPTURES], sums[REFUNDS], sums[CUSTOMER_PAYMENTS])


def is_balanced(lines: Sequence[Posting]) -> bool:
    return sum(line.amount for line in lines) == 0
