"""What a right processor appends for one executed command, to the byte.

In:      a command, its outcome by the auditor's own rules.
Out:     the values of its event, its key record and its reply, as CONTRACT, "The log" writes them.
Units:   Unix milliseconds; money in minor units.

Members stand in the order in which CONTRACT names them, without white space. JSON does not promise that: a record that
says the same in other bytes is as right, and is looked at member by member (`simulator.audit.examine`).
"""

from typing import Any

import orjson

from simulator.audit import rules


def event(
    merchant: str, command_id: str, key: str | None, outcome: rules.Outcome, charge: str, sequence: int, clock: int
) -> bytes:
    """`charge` is the whole charge after it, in its canonical form."""
    assert outcome.charge is not None
    data: dict[str, Any] = {"charge": orjson.Fragment(charge)}
    if outcome.refund is not None:
        data["refund"] = outcome.refund
    return orjson.dumps(
        {
            "event_id": rules.derived("evt", merchant, command_id),
            "type": outcome.event,
            "charge_id": outcome.charge["id"],
            "merchant_id": merchant,
            "amount": outcome.amount,
            "currency": outcome.currency,
            "sequence": sequence,
            "occurred_at": clock,
            "command_id": command_id,
            "idempotency_key": key,
            "data": data,
        }
    )


def key_record(
    merchant: str,
    command_id: str,
    key: str | None,
    operation: str,
    fingerprint: str,
    status: int,
    body: str,
    charge_id: str,
    offset: int,
    clock: int,
    ttl_ms: int,
) -> bytes:
    return orjson.dumps(
        {
            "merchant_id": merchant,
            "idempotency_key": key,
            "operation": operation,
            "fingerprint": fingerprint,
            "status": status,
            "body": body,
            "charge_id": charge_id,
            "event_id": rules.derived("evt", merchant, command_id),
            "command_id": command_id,
            "offset": offset,
            "completed_at": clock,
            "expires_at": clock + ttl_ms,
        }
    )


def reply(merchant: str, command_id: str, key: str | None, status: int, body: str, *, replayed: bool) -> bytes:
    return orjson.dumps(
        {
            "command_id": command_id,
            "merchant_id": merchant,
            "idempotency_key": key,
            "status": status,
            "replayed": replayed,
            "body": body,
        }
    )
