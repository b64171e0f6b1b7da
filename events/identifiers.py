"""Names of things, all derived: the same command always makes the same charge, refund and event.

In:      a merchant's id and a command's id.
Out:     `evt_`, `ch_`, `re_` and 32 hex digits of SHA-256 over `<prefix> NUL merchant_id NUL command_id`.
Source:  CONTRACT, "The log". Deriving makes a re-execution visible: it would make the same id twice.
"""

import re
from hashlib import sha256
from typing import Final

POSITION_KEY: Final = b"@position"
COMMAND_KEY_PREFIX: Final = "@command/"

_CHARGE_ID = re.compile(r"ch_[0-9a-f]{32}\Z")
_COMMAND_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_MERCHANT_ID = re.compile(r"[a-z0-9_]{1,64}\Z")
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


def _derived(prefix: str, merchant_id: str, command_id: str) -> str:
    return prefix + "_" + sha256(f"{prefix}\0{merchant_id}\0{command_id}".encode()).hexdigest()[:32]


def event_id(merchant_id: str, command_id: str) -> str:
    return _derived("evt", merchant_id, command_id)


def charge_id(merchant_id: str, command_id: str) -> str:
    return _derived("ch", merchant_id, command_id)


def refund_id(merchant_id: str, command_id: str) -> str:
    return _derived("re", merchant_id, command_id)


def is_charge_id(text: str) -> bool:
    return _CHARGE_ID.match(text) is not None


def is_merchant_id(text: str) -> bool:
    return _MERCHANT_ID.match(text) is not None


def is_command_id(text: str) -> bool:
    """A UUID in its canonical lower-case text form; version 7 is what we mint, any version is read."""
    return _COMMAND_ID.match(text) is not None


def is_idempotency_key(text: str) -> bool:
    """1 to 255 printable ASCII characters, as they are after unquoting."""
    return _IDEMPOTENCY_KEY.match(text) is not None


def key_name(merchant_id: str, idempotency_key: str) -> str:
    """The record key in `keys`. A merchant's id holds no slash, so the first slash always separates."""
    return f"{merchant_id}/{idempotency_key}"


def command_key(merchant_id: str, command_id: str) -> str:
    """The record key in `keys` of a command without a key: no merchant can be called `@command`."""
    return f"{COMMAND_KEY_PREFIX}{merchant_id}/{command_id}"
