"""What both example processors share: a command to create a charge, and the three records it causes.

In:      a record of `commands`, the window of keys in milliseconds.
Out:     `Paid`: the values of the key record, the charge event and the reply, as CONTRACT, "The log" has them.
Units:   minor units; Unix milliseconds.

Only `charge.create` is done here, so that there is little to read: run it with customers who only pay, as
examples/pay.yaml has them.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from events.canonical import canonical
from events.codec import ReceivedCommand
from events.codes import problem_body
from events.identifiers import charge_id, event_id
from events.instants import rfc3339
from events.payment_methods import PAYMENT_METHODS


class Paid(NamedTuple):
    key: bytes
    charge_id: bytes
    event: bytes
    headers: Sequence[tuple[str, bytes]]


def pay(command: ReceivedCommand, namespace: str, clock: int, window_ms: int) -> Paid:
    """The key record and the charge event of one command, decided at this clock."""
    asked = command.payload
    decline_code = PAYMENT_METHODS[asked["payment_method"]]
    held = asked.get("capture") is False
    status, kind = ("authorized", "charge.authorized") if held else ("succeeded", "charge.succeeded")
    charge: dict[str, Any] = {
        "id": charge_id(command.merchant_id, command.command_id),
        "object": "charge",
        "merchant_id": command.merchant_id,
        "status": status if decline_code is None else "declined",
        "amount": asked["amount"],
        "amount_captured": 0 if held or decline_code else asked["amount"],
        "amount_refunded": 0,
        "currency": asked["currency"],
        "payment_method": asked["payment_method"],
        "captured": not held and decline_code is None,
        "description": asked.get("description"),
        "metadata": asked.get("metadata") or {},
        "created_at": clock,
    }
    answer, body = 201, canonical(charge).decode()
    if decline_code is not None:
        charge["decline_code"], kind, answer = decline_code, "charge.declined", 402
        body = problem_body("card_declined", decline_code=decline_code, charge_id=charge["id"])
    name = {"merchant_id": command.merchant_id, "idempotency_key": command.idempotency_key}
    event = {
        **name,
        "event_id": event_id(command.merchant_id, command.command_id),
        "type": kind,
        "charge_id": charge["id"],
        "amount": asked["amount"],
        "currency": asked["currency"],
        "sequence": 1,
        "occurred_at": clock,
        "command_id": command.command_id,
        "data": {"charge": charge},
    }
    key = {
        **name,
        "operation": command.type,
        "fingerprint": command.fingerprint,
        "status": answer,
        "body": body,
        "charge_id": charge["id"],
        "event_id": event["event_id"],
        "command_id": command.command_id,
        "offset": command.offset,
        "completed_at": clock,
        "expires_at": clock + window_ms,
    }
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event["event_id"],
        "ce_source": f"/{namespace}/{command.merchant_id}",
        "ce_type": f"payonce.{kind}.v1",
        "ce_time": rfc3339(clock),
    }
    told = [(header, text.encode()) for header, text in headers.items()]
    return Paid(_encoded(key), str(charge["id"]).encode(), _encoded(event), told)


def reply(command: ReceivedCommand, key: dict[str, Any]) -> bytes:
    """The answer that a key record holds, to this command; 422 where it asks for something else."""
    if key["fingerprint"] != command.fingerprint:
        answer = {"status": 422, "replayed": False, "body": problem_body("idempotency_key_reused")}
    else:
        replayed = key["command_id"] != command.command_id
        answer = {"status": key["status"], "replayed": replayed, "body": key["body"]}
    return _encoded(
        {
            "command_id": command.command_id,
            "merchant_id": command.merchant_id,
            "idempotency_key": command.idempotency_key,
            **answer,
        }
    )


def _encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
