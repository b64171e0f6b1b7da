"""What ties a record to a command: so that everything about one key and one charge is examined together.

In:      an entry of one of the topics; an intent of a history.
Out:     nodes: numbers that two records have in common if they hang together. Of a command all that it hangs
         together with; of any other record those by which its command is looked for, the best first.
Errors:  none: what cannot be read has no node, or only the one of its record key.

Whoever asks for a command by its identity, its key or its charge in a check must find it, so these three, and
nothing else, make nodes; with a history also the intent that a command names, and the request of one without a key.
Numbers are Python's hashes: they differ from process to process.
"""

from typing import Any

import orjson

from simulator.audit import rules
from simulator.audit.clients import Intent
from simulator.audit.declared import BEGINNING
from simulator.audit.log import CHARGES, COMMANDS, KEYS, Entry
from simulator.audit.records import Position

POSITION = b"@position"


def value_of(entry: Entry) -> dict[str, Any] | None:
    try:
        value = orjson.loads(entry.value or b"")
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def nodes(topic: str, entry: Entry, value: dict[str, Any] | None, *, to_customers: bool = False) -> list[int]:
    """`value` is the entry's, decoded; `to_customers`: also what ties a command to the intents of a history."""
    if topic == COMMANDS:
        return _of_command(value) + (_to_customers(value) if to_customers else [])
    found: list[int] = []
    if topic == KEYS and entry.key is not None:
        found.append(key_node(entry.key))
    identity = identity_of(value)
    if identity is not None:
        found.append(hash(identity))
    if topic == CHARGES and value is not None and isinstance(value.get("charge_id"), str):
        found.append(charge_node(value["charge_id"]))
    return found


def of_intent(intent: Intent) -> list[int]:
    """Its name, its keys, the requests it made without one, and every charge that an answer told it of."""
    found = [hash(("intent", intent.name))]
    for attempt in intent.attempts.values():
        key = attempt.idempotency_key
        if key is not None:
            found.append(key_node(f"{attempt.merchant_id}/{key}".encode("utf-8", "surrogatepass")))
        else:
            found += _keyless(attempt.merchant_id, attempt.operation, attempt.payload)
        if attempt.end == "ok" and attempt.body is not None and 200 <= (attempt.status or 0) < 300:
            found += charges_told(attempt.body)
    return list(dict.fromkeys(found))


def charges_told(body: str) -> list[int]:
    """The charges that an answer names."""
    try:
        value = orjson.loads(body)
        return [charge_node(value[member]) for member in ("id", "charge_id") if isinstance(value.get(member), str)]
    except (orjson.JSONDecodeError, AttributeError):
        return []


def command_of(entry: Entry) -> tuple[int, int] | None:
    """Partition and offset of the command that a dead letter is about."""
    headers = dict(entry.headers)
    try:
        return int(headers["partition"]), int(headers["offset"])
    except (KeyError, ValueError):
        return None


def position_of(entry: Entry) -> Position | None:
    """The processor's place that the record tells, if it can be read."""
    try:
        return Position.decode(entry)
    except (ValueError, KeyError, TypeError):
        return None


def occurred_at(value: dict[str, Any] | None) -> int:
    """Of a charge event; 0 where it does not say."""
    instant = value.get("occurred_at") if value is not None else None
    return instant if isinstance(instant, int) else 0


def _of_command(value: dict[str, Any] | None) -> list[int]:
    identity = identity_of(value)
    if value is None or identity is None:
        return []
    merchant, command = identity
    key, payload = value.get("idempotency_key"), value.get("payload")
    name = f"{merchant}/{key}" if isinstance(key, str) else f"@command/{merchant}/{command}"
    found = [hash(identity), key_node(name.encode("utf-8", "surrogatepass"))]
    if value.get("type") in BEGINNING:
        found.append(charge_node(rules.derived("ch", merchant, command)))
    elif isinstance(payload, dict) and isinstance(payload.get("charge_id"), str):
        found.append(charge_node(payload["charge_id"]))
    return found


def _to_customers(value: dict[str, Any] | None) -> list[int]:
    identity = identity_of(value)
    if value is None or identity is None:
        return []
    operation, payload, found = value.get("type"), value.get("payload"), []
    if operation in BEGINNING:
        named = rules.intent_named(payload)
        found = [] if named is None else [hash(("intent", named))]
    if value.get("idempotency_key") is None:
        found += _keyless(identity[0], operation, payload)
    return found


def _keyless(merchant: str, operation: Any, payload: Any) -> list[int]:
    """Requests without a key are told apart by what they ask for alone."""
    if not isinstance(payload, dict):
        return []
    try:
        return [hash(("keyless", merchant, rules.fingerprint(operation, payload)))]
    except (TypeError, ValueError):
        return []


def identity_of(value: dict[str, Any] | None) -> tuple[str, str] | None:
    if value is None:
        return None
    merchant, command = value.get("merchant_id"), value.get("command_id")
    return (merchant, command) if isinstance(merchant, str) and isinstance(command, str) else None


def key_node(name: bytes) -> int:
    return hash(("key", name))


def charge_node(charge_id: str) -> int:
    return hash(("charge", charge_id))
