"""Decisions, written as records of `keys`, `charges`, `replies` and `dead-letters`.

Out:     bytes, in the exact form of CONTRACT, "The log".
Hot path: the charge is encoded once, and stands in its event and in its answer as the same bytes.
"""

import zlib
from functools import lru_cache
from typing import Any, Final

import orjson

from events.charges import CLOUD_EVENTS_VERSION
from events.codec import ReceivedCommand, passed_on
from events.instants import rfc3339
from services.kafka.port import Headers, Outgoing, Record
from services.processor.domain.payment import Fact
from services.processor.domain.rules import Rules

# One batch takes 1 MiB; whatever is longer than this leaves compressed.
_SURE_BYTES: Final = 950_000
_CUT_BYTES: Final = 64 * 1024


def event_value(
    command: ReceivedCommand,
    event_id: str,
    fact: Fact,
    charge: dict[str, Any],
    charge_text: bytes,
    refund: dict[str, Any] | None,
    sequence: int,
    clock: int,
) -> bytes:
    inside: dict[str, Any] = {"charge": orjson.Fragment(charge_text)}
    if refund is not None:
        inside["refund"] = refund
    return orjson.dumps(
        {
            "event_id": event_id,
            "type": fact.kind.name,
            "charge_id": charge["id"],
            "merchant_id": command.merchant_id,
            "amount": fact.amount,
            "currency": charge["currency"],
            "sequence": sequence,
            "occurred_at": clock,
            "command_id": command.command_id,
            "idempotency_key": command.idempotency_key,
            "data": inside,
        }
    )


def event_headers(rules: Rules, command: ReceivedCommand, event_id: str, fact: Fact, clock: int) -> Headers:
    headers = [
        ("ce_specversion", CLOUD_EVENTS_VERSION),
        ("ce_id", event_id.encode()),
        ("ce_source", _source(rules.namespace, command.merchant_id)),
        ("ce_type", _type(fact.kind.name)),
        ("ce_time", _time(clock)),
    ]
    if command.headers:
        headers += [header for header in passed_on(command.headers) if header[0] == "traceparent"]
    return headers


# A batch holds few merchants, few types and few clocks (the broker stamps whole batches).
@lru_cache(maxsize=65_536)
def _source(namespace: str, merchant_id: str) -> bytes:
    return f"/{namespace}/{merchant_id}".encode()


@lru_cache(maxsize=16)
def _type(event_type: str) -> bytes:
    return f"payonce.{event_type}.v1".encode()


@lru_cache(maxsize=1_024)
def _time(clock: int) -> bytes:
    return rfc3339(clock).encode()


def key_value(
    rules: Rules,
    command: ReceivedCommand,
    clock: int,
    status: int,
    body: str,
    event_id: str | None,
    charge_id: str | None,
) -> bytes:
    return orjson.dumps(
        {
            "merchant_id": command.merchant_id,
            "idempotency_key": command.idempotency_key,
            "operation": command.type,
            "fingerprint": command.fingerprint,
            "status": status,
            "body": body,
            "charge_id": charge_id,
            "event_id": event_id,
            "command_id": command.command_id,
            "offset": command.offset,
            "completed_at": clock,
            "expires_at": clock + rules.window_ms,
        }
    )


def reply(
    command_id: str,
    merchant_id: str | None,
    idempotency_key: str | None,
    headers: Headers,
    status: int,
    body: str,
    replayed: bool,
) -> Outgoing:
    value = orjson.dumps(
        {
            "command_id": command_id,
            "merchant_id": merchant_id,
            "idempotency_key": idempotency_key,
            "status": status,
            "replayed": replayed,
            "body": body,
        }
    )
    return Outgoing(command_id.encode(), value, passed_on(headers))


def dead_letter(rules: Rules, record: Record, reason: str) -> Outgoing:
    """The bytes as received; what no batch can hold, not even compressed, is cut, and a header says how long it was."""
    headers = [
        ("topic", f"{rules.namespace}.commands".encode()),
        ("partition", str(rules.partition).encode()),
        ("offset", str(record.offset).encode()),
        ("reason", reason.encode()),
    ]
    key, value = record.key, record.value
    if not _fits(key, value):
        headers.append(("cut", f"key {len(key or b'')} value {len(value or b'')}".encode()))
        key, value = key and key[:_CUT_BYTES], value and value[:_CUT_BYTES]
    return Outgoing(key, value, headers)


def _fits(key: bytes | None, value: bytes | None) -> bool:
    length = len(key or b"") + len(value or b"")
    return length <= _SURE_BYTES or len(zlib.compress((key or b"") + (value or b""))) <= _SURE_BYTES
