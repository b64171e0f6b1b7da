"""What the key store holds, and how it is made again from the log alone.

`k` + record key of `keys`   the key record, byte for byte as on the log; `@position` too
`c` + charge id              the charge's first event, byte for byte as on the log
`n` + charge id              its newest one, where that is another
`e` + event id               of all but first events: the record key in `keys` of the command that was executed

A first event, or an `e`, finds a command id that is used again, under its own key (a redelivery) or under another (a
mistake). Most charges have one event, and two entries are all that their command costs the store.

Below exactly-once a charge may begin a second time (`once` is false): its first event is then its newest one, too.

In:      records of `keys` and `charges`, in log order.
Out:     writes of the store; None deletes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from events.identifiers import POSITION_KEY, command_key, key_name
from services.kafka.port import Outgoing, Record
from services.native import native
from services.processor.domain.rules import Standing


def of_key(record_key: bytes) -> bytes:
    return b"k" + record_key


def of_first(charge_id: str) -> bytes:
    return b"c" + charge_id.encode()


def of_newest(charge_id: str) -> bytes:
    return b"n" + charge_id.encode()


def of_event(event_id: str) -> bytes:
    return b"e" + event_id.encode()


def newest_event(charge_id: str, get: Callable[[bytes], bytes | None]) -> bytes | None:
    newest = get(of_newest(charge_id))
    return get(of_first(charge_id)) if newest is None else newest


def of_records(records: Sequence[Record]) -> dict[bytes, bytes | None]:
    """The writes that these records of `keys` stand for, in log order: of one key the newest counts."""
    if native is not None and isinstance(records, native.Records):
        writes: dict[bytes, bytes | None] = native.restored_keys(records)
        return writes
    return {b"k" + record.key: record.value for record in records if record.key is not None}


def of_events(records: Sequence[Record], *, once: bool) -> dict[bytes, bytes | None]:
    """The writes that these records of `charges` stand for, in log order."""
    natively: dict[bytes, bytes | None] | None = native.restored_events(records, once) if native is not None else None
    return of_events_in_python(records, once=once) if natively is None else natively


def of_events_in_python(records: Sequence[Record], *, once: bool) -> dict[bytes, bytes | None]:
    writes: dict[bytes, bytes | None] = {}
    for record in records:
        if record.key is not None and record.value is not None:
            writes |= of_event_value(record.key.decode(), record.value, once=once)
    return writes


def of_event_value(charge_id: str, value: bytes, *, once: bool) -> dict[bytes, bytes | None]:
    """The writes that one event stands for."""
    event: dict[str, Any] = orjson.loads(value)
    if event["sequence"] > 1:
        return {of_newest(charge_id): value, of_event(event["event_id"]): _executed_under(event)}
    return {of_first(charge_id): value} if once else {of_first(charge_id): value, of_newest(charge_id): None}


def executed_under(value: bytes) -> bytes:
    """The record key in `keys` of the command that an event comes of."""
    return _executed_under(orjson.loads(value))


def _executed_under(event: Mapping[str, Any]) -> bytes:
    merchant_id, idempotency_key = event["merchant_id"], event["idempotency_key"]
    named = (
        key_name(merchant_id, idempotency_key)
        if idempotency_key is not None
        else command_key(merchant_id, event["command_id"])
    )
    return named.encode()


def standing_of(value: bytes) -> tuple[Standing, int]:
    """Where a partition stands by its `@position` record, and the window it was written under."""
    found: dict[str, Any] = orjson.loads(value)
    return Standing(found["position"], found["clock"]), found["window_ms"]


def position_record(standing: Standing, window_ms: int) -> Outgoing:
    value = {"position": standing.position, "clock": standing.clock, "window_ms": window_ms}
    return Outgoing(POSITION_KEY, orjson.dumps(value), ())
