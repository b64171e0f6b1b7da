"""What a charge event declares: what causes it, what it does to its charge, which accounts it moves, what is answered.

A declaration is data, and each room reads it with code of its own: the processor makes the charge after it, the
ledger its postings, the auditor both once more. None of them names an event (CONTRIBUTING, "Add an event").

Units:   minor units. A move debits one account and credits another with the same amount, so an entry is balanced.

Accounts are a merchant's in one currency. Holds are promises, so they have a pair of their own:

    customer_holds     what customers have promised       authorizations  what may still be captured
    customer_payments  what customers have paid, net      captures, refunds  what was captured, what went back

Balances: authorized = -authorizations (open holds, now), captured = -captures, refunded = refunds,
net = customer_payments.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from events.operations.base import Operation

CUSTOMER_HOLDS: Final = "customer_holds"
AUTHORIZATIONS: Final = "authorizations"
CUSTOMER_PAYMENTS: Final = "customer_payments"
CAPTURES: Final = "captures"
REFUNDS: Final = "refunds"


class Of(StrEnum):
    """Which amount a move is of."""

    EVENT = "event"
    CHARGE = "charge"  # what the charge was made for


class Move(NamedTuple):
    """One amount from one account to another."""

    debit: str
    credit: str
    of: Of = Of.EVENT


class Answers(StrEnum):
    """What the customer gets for the command that caused the event."""

    CHARGE = "charge"  # as it is after the event
    REFUND = "refund"  # a refund of the event's amount; it stands in the event too
    DECLINE = "decline"  # a problem with the card's decline code, which the charge gets too; nothing was executed


class Partly(NamedTuple):
    """The status as long as one member of the charge is below another."""

    status: str
    member: str
    below: str


@dataclass(frozen=True, kw_only=True)
class Example:
    """One case, worked out by hand: whoever reads declarations must come to the same."""

    payload: Mapping[str, Any]  # of the command; without charge_id
    amount: int
    charge: Mapping[str, Any]  # after the event: all of it, or what it changes in the example `before`
    balance: Mapping[str, int] = field(default_factory=dict)  # what it adds to the merchant's balances; others nothing
    before: "Example | None" = None  # the example that the charge comes from

    @property
    def charge_after(self) -> dict[str, Any]:
        return {**(self.before.charge_after if self.before else {}), **self.charge}


@dataclass(frozen=True, kw_only=True)
class EventType:
    name: str  # on the log
    meaning: str  # one sentence
    cause: Operation
    where: Mapping[str, Container[Any]] = field(default_factory=dict)  # payloads it happens for; else the next event's
    status: str | None = None  # of the charge from now on; None: as before
    partly: Partly | None = None
    sets: Mapping[str, Any] = field(default_factory=dict)  # members of the charge, by value
    adds: tuple[str, ...] = ()  # members of the charge that grow by the event's amount
    moves: tuple[Move, ...] = ()
    answers: Answers = Answers.CHARGE
    answer_status: int = 200
    refusal: str = ""  # the code of what is not allowed any more in the status it makes
    allows: tuple[Operation, ...] = ()  # operations allowed in it, beside those that name it in `allowed_in`
    example: Example
