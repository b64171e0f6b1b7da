"""The merchant lets go of what was held."""

from events.operations.base import Limit, Operation, Payload


class VoidCharge(Payload):
    """`POST /v1/charges/{charge_id}/void`"""

    charge_id: str


VOID_CHARGE = Operation(
    name="charge.void",
    call="void_charge",
    summary="Release an authorization",
    path="/v1/charges/{charge_id}/void",
    payload=VoidCharge,
    limit=Limit(of="amount"),
    allowed_in=("authorized",),
)
