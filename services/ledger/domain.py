"""What a charge event means in a double-entry ledger. Pure.

In:      an event's type, its amount, and the amount the charge was authorized for.
Out:     postings that add up to zero, and what they do to the four balances of a merchant in one currency.
Units:   minor units; a debit is positive, a credit negative.
Errors:  UnknownEvent; every type of the contract is known.
Source:  CONTRACT, "Event types". Below exactly-once an event may repeat, so sums may go below zero:
         the ledger books what stands on the log and judges nothing.

Five accounts per merchant and currency. Holds are promises, so they have a pair of their own:

    event              debit               credit
    charge.authorized  customer_holds      authorizations     the hold
    charge.captured    authorizations      customer_holds     the whole hold: the rest is released
                       customer_payments   captures           what was captured
    charge.voided      authorizations      customer_holds     what was released
    charge.succeeded   customer_payments   captures           captured in one step
    charge.refunded    refunds             customer_payments  what went back
    charge.declined    nothing moves: an entry without postings

Balances: authorized = -authorizations (open holds, now), captured = -captures, refunded = refunds,
net = customer_payments.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

CUSTOMER_HOLDS: Final = "customer_holds"
AUTHORIZATIONS: Final = "authorizations"
CUSTOMER_PAYMENTS: Final = "customer_payments"
CAPTURES: Final = "captures"
REFUNDS: Final = "refunds"


class UnknownEvent(ValueError):
    """An event type that this ledger has no rule for."""


class Posting(NamedTuple):
    account: str
    amount: int


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
    match event_type:
        case "charge.authorized":
            return _move(amount, CUSTOMER_HOLDS, AUTHORIZATIONS)
        case "charge.captured":
            release = _move(authorized_amount, AUTHORIZATIONS, CUSTOMER_HOLDS)
            return release + _move(amount, CUSTOMER_PAYMENTS, CAPTURES)
        case "charge.voided":
            return _move(amount, AUTHORIZATIONS, CUSTOMER_HOLDS)
        case "charge.succeeded":
            return _move(amount, CUSTOMER_PAYMENTS, CAPTURES)
        case "charge.refunded":
            return _move(amount, REFUNDS, CUSTOMER_PAYMENTS)
        case "charge.declined":
            return ()
    raise UnknownEvent(f"{event_type!r} is not an event of this ledger")


def effect(lines: Iterable[Posting]) -> Balance:
    """What postings do to the balances."""
    sums = dict.fromkeys((CUSTOMER_HOLDS, AUTHORIZATIONS, CUSTOMER_PAYMENTS, CAPTURES, REFUNDS), 0)
    for account, amount in lines:
        sums[account] += amount
    return Balance(-sums[AUTHORIZATIONS], -sums[CAPTURES], sums[REFUNDS], sums[CUSTOMER_PAYMENTS])


def is_balanced(lines: Sequence[Posting]) -> bool:
    return sum(line.amount for line in lines) == 0


def _move(amount: int, debit: str, credit: str) -> tuple[Posting, Posting]:
    return Posting(debit, amount), Posting(credit, -amount)
