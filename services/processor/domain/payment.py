"""What a payment command does to a charge.

In:      the charge as it stands (None: there is none), an operation and its payload.
Out:     `decide`: a Fact, or the code of a refusal (a value, never an exception); `evolve`: the charge after a fact.
Units:   amounts in minor units; `clock` in Unix milliseconds, the partition's.
Source:  CONTRACT, "HTTP": one capture per charge, the rest is released; refunds up to what was captured.

The table of what is legal in which status is data: documentation and tests are made from it.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from events.commands import PAYMENT_METHODS

Charge = dict[str, Any]  # the resource of CONTRACT; never changed in place


class Fact(NamedTuple):
    """One thing that happened to a charge; `amount` is what it moves, holds, releases or was refused."""

    type: str
    amount: int
    decline_code: str | None = None


# Why an operation is refused in a status; a status that is not named here allows it.
REFUSED_IN: Final[dict[str, dict[str, str]]] = {
    "charge.capture": {
        "succeeded": "charge_already_captured",
        "captured": "charge_already_captured",
        "partially_refunded": "charge_already_captured",
        "refunded": "charge_already_captured",
        "voided": "charge_already_voided",
        "declined": "charge_declined",
    },
    "charge.void": {
        "succeeded": "charge_already_captured",
        "captured": "charge_already_captured",
        "partially_refunded": "charge_already_captured",
        "refunded": "charge_already_captured",
        "voided": "charge_already_voided",
        "declined": "charge_declined",
    },
    "refund.create": {
        "authorized": "charge_not_captured",
        "voided": "charge_already_voided",
        "refunded": "charge_already_refunded",
        "declined": "charge_declined",
    },
}


def decide(charge: Charge | None, operation: str, payload: Mapping[str, Any]) -> Fact | str:
    """What the command makes happen, or the code of why it is refused."""
    if operation == "charge.create":
        decline = PAYMENT_METHODS[payload["payment_method"]]
        if decline is not None:
            return Fact("charge.declined", payload["amount"], decline)
        held_only = payload.get("capture") is False
        return Fact("charge.authorized" if held_only else "charge.succeeded", payload["amount"])
    if charge is None:
        return "charge_not_found"
    refusal = REFUSED_IN[operation].get(charge["status"])
    if refusal is not None:
        return refusal
    if operation == "charge.void":
        return Fact("charge.voided", charge["amount"])
    asked = payload.get("amount")
    if operation == "charge.capture":
        if asked is not None and asked > charge["amount"]:
            return "capture_too_large"
        return Fact("charge.captured", charge["amount"] if asked is None else asked)
    left = charge["amount_captured"] - charge["amount_refunded"]
    if asked is not None and asked > left:
        return "refund_too_large"
    return Fact("charge.refunded", left if asked is None else asked)


def created(charge_id: str, merchant_id: str, payload: Mapping[str, Any], fact: Fact, clock: int) -> Charge:
    """The charge that a first fact makes."""
    succeeded = fact.type == "charge.succeeded"
    charge: Charge = {
        "id": charge_id,
        "object": "charge",
        "merchant_id": merchant_id,
        "status": fact.type.removeprefix("charge."),
        "amount": fact.amount,
        "amount_captured": fact.amount if succeeded else 0,
        "amount_refunded": 0,
        "currency": payload["currency"],
        "payment_method": payload["payment_method"],
        "captured": succeeded,
        "description": payload.get("description"),
        "metadata": payload.get("metadata") or {},
        "created_at": clock,
    }
    if fact.decline_code is not None:
        charge["decline_code"] = fact.decline_code
    return charge


def evolve(charge: Charge, fact: Fact) -> Charge:
    """The charge after one more fact."""
    match fact.type:
        case "charge.captured":
            return {**charge, "status": "captured", "captured": True, "amount_captured": fact.amount}
        case "charge.voided":
            return {**charge, "status": "voided"}
        case "charge.refunded":
            refunded = charge["amount_refunded"] + fact.amount
            status = "refunded" if refunded == charge["amount_captured"] else "partially_refunded"
            return {**charge, "status": status, "amount_refunded": refunded}
    raise AssertionError(f"{fact.type} only begins a charge")
