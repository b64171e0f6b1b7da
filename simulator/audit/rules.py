"""The auditor's own payment rules: what a command means, said a second time and independently.

In:      payloads as received and a charge as an earlier command left it.
Out:     the status, body and event each command must have; ids and fingerprints from first principles.
Units:   money in integer minor units; time in Unix milliseconds.
Errors:  none; a payload these rules cannot read is simply not `valid`.
Source:  CONTRACT, "HTTP" and "The log". Shares no line with the processor: its bugs must not be repeated
         here.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import orjson
import rfc8785

CREATE: Final = "charge.create"
CAPTURE: Final = "charge.capture"
VOID: Final = "charge.void"
REFUND: Final = "refund.create"
OPERATIONS: Final = (CREATE, CAPTURE, VOID, REFUND)

# What each event does with money. A decline and a release move none.
TAKES: Final = frozenset({"charge.succeeded", "charge.captured"})
HOLDS: Final = frozenset({"charge.authorized"})
GIVES_BACK: Final = frozenset({"charge.refunded"})
RELEASES: Final = frozenset({"charge.voided"})
MONEY_EVENTS: Final = TAKES | HOLDS | GIVES_BACK | RELEASES
CHARGING_EVENTS: Final = frozenset({"charge.succeeded", "charge.authorized"})
EVENTS_OF: Final = {
    CREATE: frozenset({"charge.succeeded", "charge.authorized", "charge.declined"}),
    CAPTURE: frozenset({"charge.captured"}),
    VOID: frozenset({"charge.voided"}),
    REFUND: frozenset({"charge.refunded"}),
}

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
_MEMBERS: Final = {
    CREATE: {"amount", "currency", "payment_method", "capture", "description", "metadata"},
    CAPTURE: {"charge_id", "amount"},
    VOID: {"charge_id"},
    REFUND: {"charge_id", "amount"},
}

# Answers that are never kept under a key: a corrected retry may run.
NOT_STORED: Final = frozenset({400, 401, 405, 413, 415, 422, 429, 500, 503, 504})


def derived(prefix: str, merchant_id: str, command_id: str) -> str:
    return f"{prefix}_" + sha256(f"{prefix}\0{merchant_id}\0{command_id}".encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """RFC 8785. orjson with sorted keys writes the same bytes where all is ASCII and nothing is a float."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if text.isascii():
        return text
    return rfc8785.dumps(value).decode()


def fingerprint(operation: str, payload: Any) -> str:
    return sha256(canonical({"type": operation, "payload": payload}).encode()).hexdigest()


def valid(operation: str, payload: Any) -> bool:
    """Whether the payload is plainly one that must be decided: the auditor takes only sure cases as valid."""
    if operation not in _MEMBERS or type(payload) is not dict or not payload.keys() <= _MEMBERS[operation]:
        return False
    amount = payload.get("amount")
    if amount is None and operation == CREATE:
        return False
    if amount is not None and (type(amount) is not int or not 1 <= amount <= MAX_AMOUNT):
        return False
    if operation != CREATE:
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


def sure(operation: str, payload: Any) -> bool:
    """Whether a valid payload stays well inside every limit, so that nobody may call it bad."""
    if operation != CREATE:
        return True
    description, metadata = payload.get("description"), payload.get("metadata") or {}
    return (
        payload["currency"] in _SURE_CURRENCIES
        and (description is None or 0 < len(description) <= 100)
        and len(metadata) <= 20
        and all(0 < len(name) <= 40 and type(text) is str and len(text) <= 100 for name, text in metadata.items())
    )


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


def execute(
    operation: str,
    payload: dict[str, Any],
    merchant: str,
    command: str,
    clock: int,
    charge: dict[str, Any] | None,
) -> Outcome:
    """The outcome of a valid command on the charge as it stands (None: there is none)."""
    if operation == CREATE:
        return _create(payload, merchant, command, clock)
    if charge is None:
        return Outcome(404, None, "charge_not_found")
    asked = payload.get("amount")
    currency = charge["currency"]
    if operation == CAPTURE:
        amount = charge["amount"] if asked is None else asked
        if charge["status"] != "authorized" or amount > charge["amount"]:
            return Outcome(409, None)
        after = {**charge, "status": "captured", "captured": True, "amount_captured": amount}
        return Outcome(200, after, None, "charge.captured", amount, currency, after)
    if operation == VOID:
        if charge["status"] != "authorized":
            return Outcome(409, None)
        after = {**charge, "status": "voided"}
        return Outcome(200, after, None, "charge.voided", charge["amount"], currency, after)
    return _refund(asked, merchant, command, clock, charge)


def _create(payload: dict[str, Any], merchant: str, command: str, clock: int) -> Outcome:
    amount, currency, method = payload["amount"], payload["currency"], payload["payment_method"]
    captures = payload.get("capture") is not False
    status = "declined" if method in DECLINES else "succeeded" if captures else "authorized"
    taken = status == "succeeded"
    charge = {
        "id": derived("ch", merchant, command),
        "object": "charge",
        "merchant_id": merchant,
        "status": status,
        "amount": amount,
        "amount_captured": amount if taken else 0,
        "amount_refunded": 0,
        "currency": currency,
        "payment_method": method,
        "captured": taken,
        "description": payload.get("description"),
        "metadata": payload.get("metadata") or {},
        "created_at": clock,
    }
    if status == "declined":
        charge["decline_code"] = DECLINES[method]
        return Outcome(402, None, "card_declined", "charge.declined", amount, currency, charge)
    return Outcome(201, charge, None, f"charge.{status}", amount, currency, charge)


def _refund(asked: int | None, merchant: str, command: str, clock: int, charge: dict[str, Any]) -> Outcome:
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = left if asked is None else asked
    if charge["status"] not in ("succeeded", "captured", "partially_refunded") or not 0 < amount <= left:
        return Outcome(409, None)
    after = {
        **charge,
        "status": "refunded" if amount == left else "partially_refunded",
        "amount_refunded": charge["amount_refunded"] + amount,
    }
    refund = {
        "id": derived("re", merchant, command),
        "object": "refund",
        "charge_id": charge["id"],
        "amount": amount,
        "currency": charge["currency"],
        "created_at": clock,
    }
    return Outcome(201, refund, None, "charge.refunded", amount, charge["currency"], after)


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
