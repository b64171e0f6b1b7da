"""The card said no. The charge exists, so that a replay is the same decline, but nothing can be done with it."""

from events.charge_events.base import Answers, EventType, Example
from events.operations.create_charge import CREATE_CHARGE
from events.payment_methods import DECLINED_CARDS

DECLINED = EventType(
    name="charge.declined",
    meaning="The card was declined; no money moved.",
    cause=CREATE_CHARGE,
    where={"payment_method": DECLINED_CARDS},
    status="declined",
    answers=Answers.DECLINE,
    answer_status=402,
    refusal="charge_declined",
    example=Example(
        payload={"amount": 500, "currency": "usd", "payment_method": "pm_card_expired"},
        amount=500,
        charge={
            "status": "declined",
            "amount": 500,
            "amount_captured": 0,
            "amount_refunded": 0,
            "currency": "usd",
            "payment_method": "pm_card_expired",
            "captured": False,
            "description": None,
            "metadata": {},
            "decline_code": "expired",
        },
    ),
)
