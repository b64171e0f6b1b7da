"""Commands as a gateway writes them, for tests that append their own.

In:      what matters to the test; everything else has a value that is accepted.
Out:     an Outgoing for the merchant's partition.
"""

import itertools
import uuid
from typing import Any

import orjson

from events.partitioner import partition_of
from services.kafka.port import Outgoing

PATIENT_MS = 10**15  # a deadline that no clock of a test reaches
_numbers = itertools.count(1)


def command(
    merchant_id: str = "shop",
    key: str | None = None,
    operation: str = "charge.create",
    *,
    command_id: str | None = None,
    deadline_at: int = PATIENT_MS,
    **payload: Any,
) -> Outgoing:
    """A command; a creation is of 500 eur with a card that succeeds, unless said otherwise."""
    if operation == "charge.create":
        payload = {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa", **payload}
    value = {
        "command_id": command_id or new_command_id(),
        "type": operation,
        "merchant_id": merchant_id,
        "idempotency_key": key,
        "issued_at": 1,
        "deadline_at": deadline_at,
        "payload": payload,
    }
    return Outgoing(merchant_id.encode(), orjson.dumps(value))


def new_command_id() -> str:
    return str(uuid.UUID(int=next(_numbers) + (7 << 76) + (2 << 62)))  # version 7, as RFC 9562 has it


def merchant_of(partition: int, partitions: int) -> str:
    """A merchant whose commands go to this partition."""
    names = (f"shop{number}" for number in itertools.count())
    return next(name for name in names if partition_of(name.encode(), partitions) == partition)
