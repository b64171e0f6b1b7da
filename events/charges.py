"""Charges and refunds as clients see them, and the facts about them that stand on the log.

Units:   amounts in minor units; `created_at` and `occurred_at` in Unix milliseconds: the partition's clock at the
         command.
Source:  CONTRACT, "HTTP" (resources) and "The log" (`charges`).
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from events.charge_events import CHARGE_EVENTS, ChargeStatus, EventName
from events.event_examples import example_record
from events.money import Amount, Currency, Total
from events.payment_methods import PaymentMethod


class _Value(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Charge(_Value):
    """The whole charge, as the last answer about it said."""

    id: Annotated[str, Field(pattern=r"^ch_[0-9a-f]{32}$")]
    object: Literal["charge"] = "charge"
    merchant_id: str
    status: ChargeStatus
    amount: Amount
    amount_captured: Total
    amount_refunded: Total
    currency: Currency
    payment_method: PaymentMethod
    captured: bool
    description: str | None
    metadata: dict[str, str]
    created_at: int
    decline_code: str | None = Field(default=None, description="only present when declined")


class Refund(_Value):
    id: Annotated[str, Field(pattern=r"^re_[0-9a-f]{32}$")]
    object: Literal["refund"] = "refund"
    charge_id: str
    amount: Amount
    currency: Currency
    created_at: int


class ChargeEventData(_Value):
    charge: Charge
    refund: Refund | None = Field(default=None, description="only present where money went back")


class ChargeEvent(_Value):
    """The value of a record in `charges`: one fact, and the whole charge after it."""

    model_config = ConfigDict(json_schema_extra={"examples": [example_record(kind) for kind in CHARGE_EVENTS]})

    event_id: Annotated[str, Field(pattern=r"^evt_[0-9a-f]{32}$")]
    type: EventName
    charge_id: str
    merchant_id: str
    amount: Annotated[Amount, Field(description="what this event moves, holds, releases or was refused")]
    currency: Currency
    sequence: Annotated[int, Field(ge=1, description="counts this charge's events from 1")]
    occurred_at: int
    command_id: str
    idempotency_key: str | None
    data: ChargeEventData


CLOUD_EVENTS_VERSION: Final = b"1.0"


def cloud_event_headers(
    namespace: str, merchant_id: str, event_id: str, event_type: str, time_text: bytes
) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 in binary mode; `time_text` is `rfc3339` of the event's `occurred_at`."""
    return [
        ("ce_specversion", CLOUD_EVENTS_VERSION),
        ("ce_id", event_id.encode()),
        ("ce_source", f"/{namespace}/{merchant_id}".encode()),
        ("ce_type", f"payonce.{event_type}.v1".encode()),
        ("ce_time", time_text),
    ]


def charge_of(event: dict[str, Any]) -> dict[str, Any]:
    """The charge inside a decoded event."""
    charge: dict[str, Any] = event["data"]["charge"]
    return charge
