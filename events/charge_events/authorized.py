"""The first half of a charge in two steps."""

from events.charge_events.base import AUTHORIZATIONS, CUSTOMER_HOLDS, EventType, Example, Move
from events.operations.create_charge import CREATE_CHARGE

AUTHORIZED = EventType(
    name="charge.authorized",
    meaning="The amount is held on the card; none of it is captured yet.",
    cause=CREATE_CHARGE,
    where={"capture": (False,)},
    status="authorized",
    moves=(Move(CUSTOMER_HOLDS, AUTHORIZATIONS),),
    answer_status=201,
    refusal="charge_not_captured",
    example=Example(
        payload={"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "capture": False},
        amount=500,
        charge={
            "status": "authorized",
            "amount": 500,
            "amount_captured": 0,
            "amount_refunded": 0,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "captured": False,
            "description": None,
            "metadata": {},
        },
        balance={"authorized": 500},
    ),
)
