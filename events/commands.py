"""The command that carries an operation over the log, and the rules that every payload obeys.

Units:   amounts in minor units; `issued_at` and `deadline_at` in Unix milliseconds, UTC.
Errors:  InvalidPayload, whose detail is one sentence naming the member.
Source:  CONTRACT, "HTTP" and "The log". `null` is allowed for optional members and means absent, but changes the
         fingerprint. What each operation may carry stands in `events/operations`.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, NotRequired

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from events.operations import BY_NAME, OperationName
from events.operations.base import Payload

COMMAND_BYTES_MAX: Final = 64 * 1024


class InvalidPayload(ValueError):
    """A payload that no retry can make right; `str()` is the detail of the 400."""


class Command(BaseModel):
    """The value of a record in `commands`: unknown members are tolerated here, but not in the payload."""

    model_config = ConfigDict(strict=True, frozen=True)

    command_id: Annotated[str, Field(description="UUIDv7, minted once per HTTP attempt")]
    type: OperationName
    merchant_id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    idempotency_key: Annotated[str, Field(min_length=1, max_length=255)] | None
    issued_at: Annotated[int, Field(ge=0)]
    deadline_at: Annotated[int, Field(ge=0)]
    payload: Annotated[
        dict[str, Any], Field(description="the HTTP body as received, plus charge_id where the path has it")
    ]


_VALIDATE: Final = {
    name: operation.payload.__pydantic_validator__.validate_python for name, operation in BY_NAME.items()
}


def _obeys(payload: type[Payload]) -> Callable[[object], bool]:
    """Whether a dict obeys the rules of a model, without making one: what is wrong is asked of the model itself."""
    members = {
        name: field.rebuild_annotation() if field.is_required() else NotRequired[field.rebuild_annotation()]
        for name, field in payload.model_fields.items()
    }
    rules = TypedDict(payload.__name__, members)  # type: ignore[misc]  # mypy takes literals only
    rules.__pydantic_config__ = payload.model_config  # type: ignore[attr-defined]
    asked: Callable[[object], bool] = TypeAdapter(rules).validator.isinstance_python
    return asked


_OBEYS: Final = {name: _obeys(operation.payload) for name, operation in BY_NAME.items()}


def validate_payload(operation: str, payload: object) -> None:
    """Raise InvalidPayload unless `payload` obeys the rules of `operation`; what was received stays as it is."""
    if _OBEYS[operation](payload):
        return
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
