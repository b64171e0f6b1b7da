"""The auditor's own payment rules: what a command means, read off the declarations a second time and independently.

In:      payloads as received and a charge as an earlier command left it.
Out:     the status, body and event each command must have; ids and fingerprints from first principles.
Units:   money in integer minor units; time in Unix milliseconds.
Errors:  none; a payload these rules cannot read is simply not `valid`.
Source:  CONTRACT, "HTTP" and "The log"; `events/operations` and `events/charge_events`, which are data. Shares no
         line of code with the processor: its bugs must not be repeated here.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import orjson
import rfc8785

from simulator.audit.declared import BEGINNING, CAUSED_BY, OPERATIONS, Answers, EventType, allowed

DECLINES: Final = {
    "pm_card_declined": "card_declined",
    "pm_card_insufficient_funds": "insufficient_funds",
    "pm_card_expired": "expired",
    "pm_card_incorrect_cvc": "incorrect_cvc",
    "pm_card_processing_error": "processing_error",
}
APPROVED: Final = "pm_card_visa"
MAX_AMOUNT: Final = 999_999_999_999
# The auditor keeps no copy of ISO 4217: a currency outside these may be refused, and it will not object.
_SURE_CURRENCIES: Final = frozenset(
    [
        "aud",
        "brl",
        "cad",
        "chf",
        "cny",
        "czk",
        "dkk",
        "eur",
        "gbp",
        "huf",
        "inr",
        "jpy",
        "krw",
        "mxn",
        "nok",
        "nzd",
        "pln",
        "sek",
        "sgd",
        "usd",
    ]
)
# The members that the auditor has a rule of its own for; what else a payload may have, it only knows by name.
_JUDGED: Final = frozenset({"amount", "currency", "payment_method", "capture", "description", "metadata", "charge_id"})
_MEMBERS: Final = {name: frozenset(operation.payload.model_fields) for name, operation in OPERATIONS.items()}
_REQUIRED: Final = {
    name: frozenset(member for member, field in operation.payload.model_fields.items() if field.is_required())
    for name, operation in OPERATIONS.items()
}
# The members of a payload that decide which event happens.
_DECIDES: Final = {
    name: tuple(dict.fromkeys(member for kind in kinds for member in kind.where)) for name, kinds in CAUSED_BY.items()
}

_COMMAND_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_MERCHANT_ID: Final = re.compile(r"[a-z0-9_]{1,64}")
_KEY: Final = re.compile(r"[ -~]{1,255}")
_SURE_BYTES: Final = 64 * 1024

# Answers that are never kept under a key: a corrected retry may run.
NOT_STORED: Final = frozenset({400, 401, 405, 413, 415, 422, 429, 500, 503, 504})


def derived(prefix: str, merchant_id: str, command_id: str) -> str:
    return f"{prefix}_" + sha256(f"{prefix}\0{merchant_id}\0{command_id}".encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """RFC 8785. orjson with sorted keys writes the same bytes where all is ASCII and nothing is a float."""
    return _canonical(value).decode()


def _canonical(value: Any) -> bytes:
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return text if text.isascii() else rfc8785.dumps(value)


def fingerprint(operation: str, payload: Any) -> str:
    return sha256(_canonical({"type": operation, "payload": payload})).hexdigest()


def intent_named(payload: Any) -> str | None:
    """The customer's intent that a creation says it is for, in its metadata."""
    metadata = payload.get("metadata") if isinstance(payload, dict) else None
    named = metadata.get("intent") if isinstance(metadata, dict) else None
    return named if isinstance(named, str) else None


def valid(name: str, payload: Any) -> bool:
    """Whether the payload is plainly one that must be decided: the auditor takes only sure cases as valid."""
    if name not in OPERATIONS or type(payload) is not dict:
        return False
    if not _REQUIRED[name] <= payload.keys() <= _MEMBERS[name]:
        return False
    amount = payload.get("amount")
    if amount is None and name in BEGINNING:
        return False
    if amount is not None and (type(amount) is not int or not 1 <= amount <= MAX_AMOUNT):
        return False
    if name not in BEGINNING:
        return type(payload.get("charge_id")) is str
    currency, method = payload.get("currency"), payload.get("payment_method")
    return (
        type(currency) is str
        and len(currency) == 3
        and (method == APPROVED or (type(method) is str and method in DECLINES))
        and type(payload.get("capture")) in (bool, type(None))
        and type(payload.get("description")) in (str, type(None))
        and type(payload.get("metadata")) in (dict, type(None))
    )


def sure(name: str, payload: Any) -> bool:
    """Whether a valid payload stays well inside every limit, so that nobody may call it bad."""
    if not payload.keys() <= _JUDGED:
        return False
    if name not in BEGINNING:
        return True
    description, metadata = payload.get("description"), payload.get("metadata") or {}
    return (
        payload["currency"] in _SURE_CURRENCIES
        and (description is None or 0 < len(description) <= 100)
        and len(metadata) <= 20
        and all(0 < len(name) <= 40 and type(text) is str and len(text) <= 100 for name, text in metadata.items())
    )


def is_merchant(name: Any) -> bool:
    return type(name) is str and _MERCHANT_ID.fullmatch(name) is not None


def sure_envelope(command: dict[str, Any], raw: bytes) -> bool:
    """Whether what surrounds the payload gives nobody a reason to call the command bad either."""
    key = command["idempotency_key"]
    return (
        len(raw) <= _SURE_BYTES
        and b"\\u0000" not in raw
        and _COMMAND_ID.fullmatch(command["command_id"]) is not None
        and _MERCHANT_ID.fullmatch(command["merchant_id"]) is not None
        and (key is None or _KEY.fullmatch(key) is not None)
        and all(type(command.get(name)) is int and command[name] > 0 for name in ("issued_at", "deadline_at"))
        and (raw == orjson.dumps(command) or _names_are_unique(raw))
    )


def _names_are_unique(raw: bytes) -> bool:
    """Whether no object in it names a member twice, which orjson lets pass."""
    unique = True

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal unique
        unique = unique and len(dict(pairs)) == len(pairs)
        return dict(pairs)

    json.loads(raw, object_pairs_hook=members)
    return unique


@dataclass(slots=True)
class Outcome:
    """What one execution must come to. `event` is None for a refusal; `charge` is the whole one after it."""

    status: int
    body: dict[str, Any] | None  # None where the wording is not recomputed: of a refusal only status and code are
    code: str | None = None
    event: str | None = None
    amount: int = 0
    currency: str = ""
    charge: dict[str, Any] | None = None
    refund: dict[str, Any] | None = None


def execute(
    name: str,
    payload: dict[str, Any],
    merchant: str,
    command: str,
    clock: int,
    charge: dict[str, Any] | None,
) -> Outcome:
    """The outcome of a valid command on the charge as it stands (None: there is none)."""
    operation = OPERATIONS[name]
    kind = _kind(name, *map(payload.get, _DECIDES[name]))
    if operation.limit is None:
        amount, before = payload["amount"], _new(payload, merchant, command, clock)
    elif charge is None:
        return Outcome(404, None, "charge_not_found")
    else:
        left = charge[operation.limit.of] - (charge[operation.limit.less] if operation.limit.less else 0)
        amount, before = left if payload.get("amount") is None else payload["amount"], charge
        if not allowed(operation, charge["status"]) or not 0 < amount <= left:
            return Outcome(409, None)
    after = evolved(kind, amount, before)
    currency = after["currency"]
    if kind.answers is Answers.DECLINE:
        after["decline_code"] = DECLINES[payload["payment_method"]]
        return Outcome(kind.answer_status, None, "card_declined", kind.name, amount, currency, after)
    if kind.answers is Answers.REFUND:
        refund = {
            "id": derived("re", merchant, command),
            "object": "refund",
            "charge_id": after["id"],
            "amount": amount,
            "currency": currency,
            "created_at": clock,
        }
        return Outcome(kind.answer_status, refund, None, kind.name, amount, currency, after, refund)
    return Outcome(kind.answer_status, after, None, kind.name, amount, currency, after)


@lru_cache(maxsize=256)  # asked of every execution; what they may be is declared
def _kind(name: str, *decisive: Any) -> EventType:
    """What happens to a payload whose members in `_DECIDES` are these."""
    payload = dict(zip(_DECIDES[name], decisive, strict=True))
    return next(
        kind for kind in CAUSED_BY[name] if all(payload[member] in values for member, values in kind.where.items())
    )


def _new(payload: dict[str, Any], merchant: str, command: str, clock: int) -> dict[str, Any]:
    """A charge to which nothing has happened yet."""
    return {
        "id": derived("ch", merchant, command),
        "object": "charge",
        "merchant_id": merchant,
        "status": None,
        "amount": payload["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "currency": payload["currency"],
        "payment_method": payload["payment_method"],
        "captured": False,
        "description": payload.get("description"),
        "metadata": payload.get("metadata") or {},
        "created_at": clock,
    }


def evolved(kind: EventType, amount: int, before: dict[str, Any]) -> dict[str, Any]:
    """The charge once the event has happened to it."""
    after = {**before, **kind.sets}
    for member in kind.adds:
        after[member] = before[member] + amount
    if kind.status is not None:
        after["status"] = kind.status
    if kind.partly is not None and after[kind.partly.member] < after[kind.partly.below]:
        after["status"] = kind.partly.status
    return after


@lru_cache(maxsize=4096)  # asked of every command and every customer; merchants are few
def partition_of(key: bytes, partitions: int) -> int:
    """Java Kafka's default: murmur2 of the record key, without its sign."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    digest = (0x9747B28C ^ len(key)) & mask
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        digest = (digest * multiplier & mask) ^ word
    if len(key) > whole:
        digest = (digest ^ int.from_bytes(key[whole:], "little")) * multiplier & mask
    digest = (digest ^ digest >> 13) * multiplier & mask
    return ((digest ^ digest >> 15) & 0x7FFFFFFF) % partitions
