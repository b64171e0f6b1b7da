"""The merchant takes what was held, or a part of it; the rest is released, so there is only one capture."""

from events.money import Amount
from events.operations.base import Limit, Operation, Payload


class CaptureCharge(Payload):
    """`POST /v1/charges/{charge_id}/capture`; `charge_id` comes from the path."""

    charge_id: str
    amount: Amount | None = None


CAPTURE_CHARGE = Operation(
    name="charge.capture",
    call="capture_charge",
    summary="Capture an authorized charge",
    path="/v1/charges/{charge_id}/capture",
    payload=CaptureCharge,
    limit=Limit(of="amount", beyond="capture_too_large"),
    allowed_in=("authorized",),
)
