"""What may be asked for: one payload model per operation, and the command that carries it over the log.

Units:   amounts in minor units; `issued_at` and `deadline_at` in Unix milliseconds, UTC.
Errors:  InvalidPayload, whose detail is one sentence naming the member.
Source:  CONTRACT, "HTTP" and "The log". `null` is allowed for optional members and means absent, but changes the
         fingerprint.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from events.money import Amount, Currency

Operation = Literal["charge.create", "charge.capture", "charge.void", "refund.create"]

COMMAND_BYTES_MAX: Final = 64 * 1024
METADATA_PAIRS_MAX: Final = 50

# Test tokens, and why each is declined; None succeeds. No card numbers anywhere.
PAYMENT_METHODS: Final[dict[str, str | None]] = {
    "pm_card_visa": None,
    "pm_card_declined": "card_declined",
    "pm_card_insufficient_funds": "insufficient_funds",
    "pm_card_expired": "expired",
    "pm_card_incorrect_cvc": "incorrect_cvc",
    "pm_card_processing_error": "processing_error",
}
PaymentMethod = Literal[
    "pm_card_visa",
    "pm_card_declined",
    "pm_card_insufficient_funds",
    "pm_card_expired",
    "pm_card_incorrect_cvc",
    "pm_card_processing_error",
]


class InvalidPayload(ValueError):
    """A payload that no retry can make right; `str()` is the detail of the 400."""


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CreateCharge(_Payload):
    """`POST /v1/charges`"""

    amount: Amount
    currency: Currency
    payment_method: PaymentMethod
    capture: bool | None = None
    description: str | None = None
    metadata: Annotated[dict[str, str], Field(max_length=METADATA_PAIRS_MAX)] | None = None


class CaptureCharge(_Payload):
    """`POST /v1/charges/{charge_id}/capture`; `charge_id` comes from the path."""

    charge_id: str
    amount: Amount | None = None


class VoidCharge(_Payload):
    """`POST /v1/charges/{charge_id}/void`"""

    charge_id: str


class CreateRefund(_Payload):
    """`POST /v1/charges/{charge_id}/refunds`"""

    charge_id: str
    amount: Amount | None = None


PAYLOADS: Final[dict[str, type[_Payload]]] = {
    "charge.create": CreateCharge,
    "charge.capture": CaptureCharge,
    "charge.void": VoidCharge,
    "refund.create": CreateRefund,
}
OPERATIONS: Final = tuple(PAYLOADS)


class Command(BaseModel):
    """The value of a record in `commands`: unknown members are tolerated here, but not in the payload."""

    model_config = ConfigDict(strict=True, frozen=True)

    command_id: Annotated[str, Field(description="UUIDv7, minted once per HTTP attempt")]
    type: Operation
    merchant_id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    idempotency_key: Annotated[str, Field(min_length=1, max_length=255)] | None
    issued_at: Annotated[int, Field(ge=0)]
    deadline_at: Annotated[int, Field(ge=0)]
    payload: Annotated[
        dict[str, Any], Field(description="the HTTP body as received, plus charge_id where the path has it")
    ]


_VALIDATE: Final = {name: model.__pydantic_validator__.validate_python for name, model in PAYLOADS.items()}


def validate_payload(operation: str, payload: object) -> None:
    """Raise InvalidPayload unless `payload` obeys the rules of `operation`; what was received stays as it is."""
    try:
        _VALIDATE[operation](payload)
    except ValidationError as error:
        raise InvalidPayload(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    """The first complaint, as one sentence naming the member."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ").rstrip(".")
    match first["type"]:
        case "missing":
            return f"The member {where} is required."
        case "extra_forbidden":
            return f"The member {where} is not known here."
        case "model_type" | "model_attributes_type" | "dict_type" if not where:
            return "The body must be a JSON object."
    return f"The member {where} is not valid: {what[:1].lower()}{what[1:]}."
