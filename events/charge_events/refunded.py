"""Money goes back to the customer. A charge may be refunded in parts until nothing is left of what was captured."""

from events.charge_events.base import CUSTOMER_PAYMENTS, REFUNDS, Answers, EventType, Example, Move, Partly
from events.charge_events.captured import CAPTURED
from events.operations.create_refund import CREATE_REFUND

REFUNDED = EventType(
    name="charge.refunded",
    meaning="All or a part of what was captured went back.",
    cause=CREATE_REFUND,
    status="refunded",
    partly=Partly("partially_refunded", "amount_refunded", below="amount_captured"),
    adds=("amount_refunded",),
    moves=(Move(REFUNDS, CUSTOMER_PAYMENTS),),
    answers=Answers.REFUND,
    answer_status=201,
    refusal="charge_already_captured",
    example=Example(
        before=CAPTURED.example,
        payload={"amount": 100},
        amount=100,
        charge={"status": "partially_refunded", "amount_refunded": 100},
        balance={"refunded": 100, "net": -100},
    ),
)
