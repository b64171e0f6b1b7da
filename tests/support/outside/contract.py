"""What the wire contract says, written down a second time: partitions, fingerprints, derived names.

Source:  docs/contract.md, "HTTP" and "The log"; Java Kafka's murmur2.
"""

import hashlib
import json
from typing import Any

TOPICS = ("commands", "keys", "charges", "replies", "dead-letters")
OPERATIONS = {"create": "charge.create", "capture": "charge.capture", "void": "charge.void", "refund": "refund.create"}
# Answers that say nothing final about their key.
NOT_STORED = frozenset({"idempotency_key_reused", "command_expired", "internal_error", "invalid_request"})
_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def partition(key: bytes, partitions: int) -> int:
    """Where Java Kafka's default partitioner puts a record key."""
    hashed = 0x9747B28C ^ len(key)
    body, tail = key[: len(key) & ~3], key[len(key) & ~3 :]
    for at in range(0, len(body), 4):
        word = int.from_bytes(body[at : at + 4], "little") * _M & _MASK
        word = (word ^ word >> 24) * _M & _MASK
        hashed = (hashed * _M & _MASK) ^ word
    if tail:
        hashed = (hashed ^ int.from_bytes(tail, "little")) * _M & _MASK
    hashed = (hashed ^ hashed >> 13) * _M & _MASK
    return ((hashed ^ hashed >> 15) & 0x7FFFFFFF) % partitions


def canonical(value: Any) -> str:
    """RFC 8785 for what is posted here: ASCII member names and integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(operation: str, payload: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({"type": operation, "payload": payload}).encode()).hexdigest()


def derived(prefix: str, merchant: str, command_id: str) -> str:
    """The id of an event, a charge or a refund."""
    digest = hashlib.sha256(b"\0".join(part.encode() for part in (prefix, merchant, command_id))).hexdigest()
    return f"{prefix}_{digest[:32]}"


def record_key(command: dict[str, Any]) -> str:
    """Under which key of `keys` a command's answer is kept."""
    if command["idempotency_key"] is None:
        return f"@command/{command['merchant_id']}/{command['command_id']}"
    return f"{command['merchant_id']}/{command['idempotency_key']}"


def command_id(at_ms: int, chance: int) -> str:
    """A UUIDv7."""
    number = at_ms << 80 | 7 << 76 | (chance >> 62 & 0xFFF) << 64 | 2 << 62 | chance & ((1 << 62) - 1)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
