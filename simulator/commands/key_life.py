"""The life of an idempotency key as the log alone tells it, without a gateway or a ledger to ask.

In:      the committed records of `keys` and `commands`.
Out:     per merchant, what GET /v1/idempotency-keys/{key} says but `executions`, which `charges` tells.
Source:  CONTRACT, "The log". A key is valid while its partition's clock < `expires_at`. Pure.
"""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord


def lives_from_log(key: str, keys: "list[ConsumerRecord]", commands: "list[ConsumerRecord]") -> dict[str, Any]:
    """Fold the records of `keys` and `commands` into the life of one key, per merchant that used it."""
    lives: dict[str, Any] = {}
    clocks = {record.partition: json.loads(record.value)["clock"] for record in keys if record.key == b"@position"}
    for record in commands:
        command = json_object(record.value)
        if command.get("idempotency_key") == key and isinstance(command.get("merchant_id"), str):
            life = lives.setdefault(command["merchant_id"], _new_life(key, command, record.timestamp))
            life["attempts"] += 1
            life["commands"].append(
                {
                    "partition": record.partition,
                    "offset": record.offset,
                    "command_id": command.get("command_id"),
                }
            )
    for record in keys:
        merchant_id, separator, name = (record.key or b"").decode(errors="replace").partition("/")
        if not separator or merchant_id.startswith("@") or name != key:
            continue
        if record.value is None:
            lives.get(merchant_id, {})["state"] = "expired"
            continue
        kept = json_object(record.value)
        life = lives.setdefault(merchant_id, _new_life(key, kept, kept["completed_at"]))
        life |= {name: kept[name] for name in life if name in kept and name != "object"}
        life["state"] = "completed" if clocks.get(record.partition, 0) < kept["expires_at"] else "expired"
    return lives


def _new_life(key: str, said: dict[str, Any], first_seen_at: int) -> dict[str, Any]:
    nothing = dict.fromkeys(("fingerprint", "status", "body", "charge_id", "command_id"))
    return {
        "object": "idempotency_key",
        "key": key,
        "state": "in_flight",
        "operation": said.get("type") or said.get("operation"),
        **nothing,
        "attempts": 0,
        "first_seen_at": first_seen_at,
        "completed_at": None,
        "expires_at": None,
        "commands": [],
    }


def json_object(value: bytes | None) -> dict[str, Any]:
    """A JSON object; anything else that somebody appended counts as an empty one."""
    try:
        read = json.loads(value or b"{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
