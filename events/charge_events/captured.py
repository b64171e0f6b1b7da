"""The second half of a charge in two steps: the whole hold goes, and what was captured is paid."""

from events.charge_events.authorized import AUTHORIZED
from events.charge_events.base import (
    AUTHORIZATIONS,
    CAPTURES,
    CUSTOMER_HOLDS,
    CUSTOMER_PAYMENTS,
    EventType,
    Example,
    Move,
    Of,
)
from events.operations.capture_charge import CAPTURE_CHARGE

CAPTURED = EventType(
    name="charge.captured",
    meaning="An authorized charge was captured, whole or in part; what was not captured is released.",
    cause=CAPTURE_CHARGE,
    status="captured",
    sets={"captured": True},
    adds=("amount_captured",),
    moves=(Move(AUTHORIZATIONS, CUSTOMER_HOLDS, Of.CHARGE), Move(CUSTOMER_PAYMENTS, CAPTURES)),
    refusal="charge_already_captured",
    example=Example(
        before=AUTHORIZED.example,
        payload={"amount": 300},
        amount=300,
        charge={"status": "captured", "captured": True, "amount_captured": 300},
        balance={"authorized": -500, "captured": 300, "net": 300},
    ),
)
