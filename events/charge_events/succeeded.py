"""A charge in one step."""

from events.charge_events.base import CAPTURES, CUSTOMER_PAYMENTS, EventType, Example, Move
from events.operations.create_charge import CREATE_CHARGE

SUCCEEDED = EventType(
    name="charge.succeeded",
    meaning="The charge was created and captured in one step.",
    cause=CREATE_CHARGE,
    status="succeeded",
    sets={"captured": True},
    adds=("amount_captured",),
    moves=(Move(CUSTOMER_PAYMENTS, CAPTURES),),
    answer_status=201,
    refusal="charge_already_captured",
    example=Example(
        payload={"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "metadata": {"order": "7"}},
        amount=500,
        charge={
            "status": "succeeded",
            "amount": 500,
            "amount_captured": 500,
            "amount_refunded": 0,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "captured": True,
            "description": None,
            "metadata": {"order": "7"},
        },
        balance={"captured": 500, "net": 500},
    ),
)
