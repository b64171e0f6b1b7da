"""A customer pays, or a merchant holds money to take it later."""

from typing import Annotated, Final

from pydantic import Field

from events.money import Amount, Currency
from events.operations.base import Operation, Payload
from events.payment_methods import PaymentMethod

METADATA_PAIRS_MAX: Final = 50


class CreateCharge(Payload):
    """`POST /v1/charges`"""

    amount: Amount
    currency: Currency
    payment_method: PaymentMethod
    capture: bool | None = None
    description: str | None = None
    metadata: Annotated[dict[str, str], Field(max_length=METADATA_PAIRS_MAX)] | None = None


CREATE_CHARGE = Operation(
    name="charge.create",
    call="create_charge",
    summary="Create a charge",
    path="/v1/charges",
    payload=CreateCharge,
)
