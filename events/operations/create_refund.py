"""The merchant gives back what was captured, whole or in parts."""

from events.money import Amount
from events.operations.base import Limit, Operation, Payload


class CreateRefund(Payload):
    """`POST /v1/charges/{charge_id}/refunds`"""

    charge_id: str
    amount: Amount | None = None


CREATE_REFUND = Operation(
    name="refund.create",
    call="create_refund",
    summary="Refund a charge",
    path="/v1/charges/{charge_id}/refunds",
    payload=CreateRefund,
    limit=Limit(of="amount_captured", less="amount_refunded", beyond="refund_too_large"),
    allowed_in=("succeeded", "captured", "partially_refunded"),
    refusals={"refunded": "charge_already_refunded"},
)
