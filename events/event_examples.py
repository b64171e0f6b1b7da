"""The declared examples as records of `charges`, for schemas, documents and tests."""

from typing import Any

from events.charge_events.base import Answers, EventType
from events.identifiers import charge_id, event_id, refund_id

MERCHANT = "coffee_shop"
COMMAND = "01890a5d-ac96-7000-8000-{:012d}"
CLOCK = 1_767_225_600_000  # 2026-01-01T00:00:00Z
MINUTE_MS = 60_000


def example_record(kind: EventType) -> dict[str, Any]:
    """The value on the log, when each event of the example's story came a minute after the one before."""
    example, sequence = kind.example, 1
    story = example
    while story.before is not None:
        story, sequence = story.before, sequence + 1
    command, clock = COMMAND.format(sequence), CLOCK + (sequence - 1) * MINUTE_MS
    charge = {
        "id": charge_id(MERCHANT, COMMAND.format(1)),
        "object": "charge",
        "merchant_id": MERCHANT,
        **example.charge_after,
        "created_at": CLOCK,
    }
    data: dict[str, Any] = {"charge": charge}
    if kind.answers is Answers.REFUND:
        data["refund"] = {
            "id": refund_id(MERCHANT, command),
            "object": "refund",
            "charge_id": charge["id"],
            "amount": example.amount,
            "currency": charge["currency"],
            "created_at": clock,
        }
    return {
        "event_id": event_id(MERCHANT, command),
        "type": kind.name,
        "charge_id": charge["id"],
        "merchant_id": MERCHANT,
        "amount": example.amount,
        "currency": charge["currency"],
        "sequence": sequence,
        "occurred_at": clock,
        "command_id": command,
        "idempotency_key": f"order-7-{kind.cause.call}",
        "data": data,
    }
