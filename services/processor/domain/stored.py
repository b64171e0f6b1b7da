"""What the key store holds, and how it is made again from the log alone.

`k` + record key of `keys`   the key record, byte for byte as on the log; `@position` too
`c` + charge id              the charge's last event, byte for byte as on the log
`e` + event id               the record key in `keys` of the command that was executed

The last one finds a command id that is used again, under its own key (a redelivery) or under another (a mistake).

In:      records of `keys` and `charges`, in log order.
Out:     writes of the store; None deletes.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from events.identifiers import POSITION_KEY, command_key, key_name
from services.kafka.port import Outgoing, Record
from services.native import native
from services.processor.domain.rules import Standing


def of_key(record_key: bytes) -> bytes:
    return b"k" + record_key


def of_charge(charge_id: str) -> bytes:
    return b"c" + charge_id.encode()


def of_event(event_id: str) -> bytes:
    return b"e" + event_id.encode()


def restored(topic: str, record: Record) -> list[tuple[bytes, bytes | None]]:
    """The writes that one record of `keys` or `charges` stands for."""
    return list(restored_many(topic, (record,)).items())


def restored_many(topic: str, records: Sequence[Record]) -> dict[bytes, bytes | None]:
    """The writes that these records of `keys` or `charges` stand for, in log order: of one key the newest counts."""
    if topic == "keys":
        return {b"k" + record.key: record.value for record in records if record.key is not None}
    natively: dict[bytes, bytes | None] | None = native.restored_events(records) if native is not None else None
    return _restored_events(records) if natively is None else natively


def _restored_events(records: Sequence[Record]) -> dict[bytes, bytes | None]:
    writes: dict[bytes, bytes | None] = {}
    for record in records:
        key, value = record.key, record.value
        if key is not None and value is not None:
            event_id, executed_under = _executed(value)
            writes[b"c" + key] = value
            writes[of_event(event_id)] = executed_under
    return writes


def _executed(value: bytes) -> tuple[str, bytes]:
    """An event's id, and the record key in `keys` of the command that it comes of."""
    event: dict[str, Any] = orjson.loads(value)
    merchant_id, idempotency_key = event["merchant_id"], event["idempotency_key"]
    executed_under = (
        key_name(merchant_id, idempotency_key)
        if idempotency_key is not None
        else command_key(merchant_id, event["command_id"])
    )
    return event["event_id"], executed_under.encode()


def standing_of(value: bytes) -> tuple[Standing, int]:
    """Where a partition stands by its `@position` record, and the window it was written under."""
    found: dict[str, Any] = orjson.loads(value)
    return Standing(found["position"], found["clock"]), found["window_ms"]


def position_record(standing: Standing, window_ms: int) -> Outgoing:
    value = {"position": standing.position, "clock": standing.clock, "window_ms": window_ms}
    return Outgoing(POSITION_KEY, orjson.dumps(value), ())
