"""What a payment command does to a charge, read off the declarations of operations and events.

In:      the charge as it stands (None: there is none), an operation and its payload.
Out:     `decide`: a Fact, or the code of a refusal (a value, never an exception); `evolve`: the charge after a fact.
Units:   amounts in minor units; `clock` in Unix milliseconds, the partition's.
Source:  CONTRACT, "HTTP"; `events/operations` and `events/charge_events`. No operation or event is named here.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from events.charge_events import CHARGE_EVENTS, MADE_BY
from events.charge_events.base import Answers, EventType
from events.operations import OPERATIONS
from events.operations.base import Operation
from events.payment_methods import PAYMENT_METHODS

Charge = dict[str, Any]  # the resource of CONTRACT; never changed in place


class Fact(NamedTuple):
    """One thing that happened to a charge; `amount` is what it moves, holds, releases or was refused."""

    kind: EventType
    amount: int
    decline_code: str | None = None


class _Rule(NamedTuple):
    """What stands declared about one operation, as it is looked up here."""

    operation: Operation
    events: tuple[EventType, ...]  # that it may cause; the first whose `where` fits happens
    refused_in: Mapping[str, str]  # status to code; a status that is not named here allows it


def refused_in(operation: Operation) -> dict[str, str]:
    return {
        status: operation.refusals.get(status, kind.refusal)
        for status, kind in MADE_BY.items()
        if status not in operation.allowed_in and operation not in kind.allows
    }


_RULES: Final = {
    operation.name: _Rule(
        operation, tuple(kind for kind in CHARGE_EVENTS if kind.cause is operation), refused_in(operation)
    )
    for operation in OPERATIONS
}


def decide(charge: Charge | None, name: str, payload: Mapping[str, Any]) -> Fact | str:
    """What the command makes happen, or the code of why it is refused."""
    operation, events, refused_in = _RULES[name]
    kind = _first_that_fits(events, payload)
    limit = operation.limit
    if limit is None:
        declined = kind.answers is Answers.DECLINE
        return Fact(kind, payload["amount"], PAYMENT_METHODS[payload["payment_method"]] if declined else None)
    if charge is None:
        return "charge_not_found"
    refusal = refused_in.get(charge["status"])
    if refusal is not None:
        return refusal
    most: int = charge[limit.of] - (charge[limit.less] if limit.less is not None else 0)
    asked: int | None = payload.get("amount") if limit.beyond is not None else None
    amount = most if asked is None else asked
    if not 1 <= amount <= most:
        assert limit.beyond is not None, "nothing is left, and the status did not say so"
        return limit.beyond
    return Fact(kind, amount)


def _first_that_fits(events: tuple[EventType, ...], payload: Mapping[str, Any]) -> EventType:
    for kind in events:
        for member, values in kind.where.items():
            if payload.get(member) not in values:
                break
        else:
            return kind
    raise AssertionError("the last event of an operation fits every payload")


def created(charge_id: str, merchant_id: str, payload: Mapping[str, Any], fact: Fact, clock: int) -> Charge:
    """The charge that a first fact makes."""
    charge: Charge = {
        "id": charge_id,
        "object": "charge",
        "merchant_id": merchant_id,
        "status": "",
        "amount": fact.amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "currency": payload["currency"],
        "payment_method": payload["payment_method"],
        "captured": False,
        "description": payload.get("description"),
        "metadata": payload.get("metadata") or {},
        "created_at": clock,
    }
    if fact.decline_code is not None:
        charge["decline_code"] = fact.decline_code
    return evolve(charge, fact)


def evolve(charge: Charge, fact: Fact) -> Charge:
    """The charge after a fact."""
    kind = fact.kind
    after = {**charge, **kind.sets}
    for member in kind.adds:
        after[member] += fact.amount
    partly = kind.partly
    if partly is not None and after[partly.member] < after[partly.below]:
        after["status"] = partly.status
    elif kind.status is not None:
        after["status"] = kind.status
    return after
