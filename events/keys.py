"""What stands in `keys`: the answer to each idempotency key, and each partition's position.

Units:   offsets of `commands` in the same partition; instants in Unix milliseconds of the partition's clock.
Source:  CONTRACT, "The log". A key is valid while clock < `expires_at` = `completed_at` + window.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from events.operations import OperationName


class _Value(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class KeyRecord(_Value):
    """The value under `merchant_id/idempotency_key`, or `@command/merchant_id/command_id` where there is no key."""

    merchant_id: str
    idempotency_key: str | None
    operation: OperationName
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    status: int
    body: Annotated[str, Field(description="the exact answer text (RFC 8785 form)")]
    charge_id: str | None
    event_id: str | None
    command_id: Annotated[str, Field(description="the command that was executed or refused")]
    offset: Annotated[int, Field(ge=0, description="of that command, in commands")]
    completed_at: int
    expires_at: int


class PositionRecord(_Value):
    """The value under `@position`: the next command to execute, and the highest log timestamp read."""

    position: Annotated[int, Field(ge=0)]
    clock: int
    window_ms: Annotated[int, Field(gt=0, description="how long a key is valid; fixed when the namespace is created")]


class KeyCommand(_Value):
    partition: int
    offset: int
    command_id: str


class KeyLife(_Value):
    """`GET /v1/idempotency-keys/{key}`"""

    object: Literal["idempotency_key"] = "idempotency_key"
    key: str
    state: Literal["in_flight", "completed", "expired"]
    operation: OperationName
    fingerprint: str | None
    status: int | None
    body: str | None
    charge_id: str | None
    command_id: str | None
    attempts: int
    executions: int
    first_seen_at: int
    completed_at: int | None
    expires_at: int | None
    commands: list[KeyCommand]
