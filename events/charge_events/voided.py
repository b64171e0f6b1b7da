"""A hold is let go."""

from events.charge_events.authorized import AUTHORIZED
from events.charge_events.base import AUTHORIZATIONS, CUSTOMER_HOLDS, EventType, Example, Move
from events.operations.void_charge import VOID_CHARGE

VOIDED = EventType(
    name="charge.voided",
    meaning="An authorized charge was released; nothing was captured and nothing can be.",
    cause=VOID_CHARGE,
    status="voided",
    moves=(Move(AUTHORIZATIONS, CUSTOMER_HOLDS),),
    refusal="charge_already_voided",
    example=Example(
        before=AUTHORIZED.example,
        payload={},
        amount=500,
        charge={"status": "voided"},
        balance={"authorized": -500},
    ),
)
