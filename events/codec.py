"""Records of `commands`, from bytes to something the processor may decide about.

In:      one record's key, value and headers, and where it was read.
Out:     ReceivedCommand, or Rejected with the reason that goes onto its dead letter.
Errors:  none raised: whatever bytes stand on the log, there is an answer.
Source:  CONTRACT, "The log": a command in the wrong partition, or whose record key is not its merchant's id, is dead-
         lettered
         without a reply; a payload that breaks the HTTP rules is dead-lettered and, where `command_id` is readable,
         replied to.
Hot path: no models are made; a tuple per command, one parse, one hash.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from events.canonical import InvalidJson, canonical, parse
from events.commands import COMMAND_BYTES_MAX, InvalidPayload, validate_payload
from events.identifiers import is_command_id, is_idempotency_key, is_merchant_id
from events.operations import BY_NAME
from events.partitioner import partition_of

Headers = Sequence[tuple[str, bytes]]


class ReceivedCommand(NamedTuple):
    """A command that obeys every rule; `key` is its record key in `keys`."""

    offset: int
    timestamp: int
    command_id: str
    type: str
    merchant_id: str
    idempotency_key: str | None
    deadline_at: int
    payload: dict[str, Any]
    fingerprint: str
    key: bytes
    headers: Headers


class Rejected(NamedTuple):
    """A record that is never executed. `command_id` is None where nobody can be answered."""

    offset: int
    timestamp: int
    reason: str
    code: str
    detail: str
    command_id: str | None
    merchant_id: str | None
    idempotency_key: str | None
    headers: Headers


# Reasons of dead letters; the first three get no reply.
WRONG_PARTITION: Final = "wrong_partition"
WRONG_KEY: Final = "wrong_key"
UNREADABLE: Final = "unreadable"
TOO_LARGE: Final = "too_large"
INVALID_COMMAND: Final = "invalid_command"
INVALID_PAYLOAD: Final = "invalid_payload"
COMMAND_ID_REUSED: Final = "command_id_reused"
INTERNAL_ERROR: Final = "internal_error"

_PASSED_ON: Final = ("reply_to", "traceparent")
_PASSED_ON_BYTES_MAX: Final = 1024  # together: a traceparent has 55; what is longer could not be carried on at all


def decode_command(
    offset: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    partition: int,
    partitions: int,
) -> ReceivedCommand | Rejected:
    """What one record of `commands`, partition `partition` of `partitions`, asks for."""
    if value is None or len(value) > COMMAND_BYTES_MAX:
        reason = UNREADABLE if value is None else TOO_LARGE
        return _rejected(offset, timestamp, reason, "The record is not a command of at most 64 KiB.", None, headers)
    complaint, code = None, "invalid_request"
    try:
        command = parse(value)
    except InvalidJson as error:
        # Two members of one name, U+0000, NaN somewhere in the payload: still readable enough to be answered.
        complaint, code = str(error), "invalid_json"
        command = _lenient(value)
    if not isinstance(command, dict):
        return _rejected(offset, timestamp, UNREADABLE, complaint or "The record is not a JSON object.", None, headers)
    merchant_id = command.get("merchant_id")
    if not isinstance(merchant_id, str) or not is_merchant_id(merchant_id) or key != merchant_id.encode():
        return _rejected(
            offset, timestamp, WRONG_KEY, "The record key is not the command's merchant_id.", None, headers
        )
    if partition_of(key, partitions) != partition:
        return _rejected(
            offset, timestamp, WRONG_PARTITION, "The merchant belongs to another partition.", None, headers
        )
    complaint = complaint or _envelope_complaint(command)
    if complaint is not None:
        return _rejected(offset, timestamp, INVALID_COMMAND, complaint, command, headers, code)
    operation, payload = command["type"], command["payload"]
    try:
        validate_payload(operation, payload)
    except InvalidPayload as error:
        return _rejected(offset, timestamp, INVALID_PAYLOAD, str(error), command, headers)
    command_id, idempotency_key = command["command_id"], command["idempotency_key"]
    return ReceivedCommand(
        offset,
        timestamp,
        command_id,
        operation,
        merchant_id,
        idempotency_key,
        command["deadline_at"],
        payload,
        sha256(canonical({"payload": payload, "type": operation})).hexdigest(),
        (
            f"{merchant_id}/{idempotency_key}"
            if idempotency_key is not None
            else f"@command/{merchant_id}/{command_id}"
        ).encode(),
        headers,
    )


def passed_on(headers: Headers) -> Headers:
    """The headers that a reply carries on from its command; of a foreign producer, only what has a sane length."""
    if not headers:
        return ()
    passed = [header for header in headers if header[0] in _PASSED_ON]
    return passed if sum(len(value or b"") for _, value in passed) <= _PASSED_ON_BYTES_MAX else ()


def _lenient(value: bytes) -> object:
    """What a forgiving reader makes of it: the standard library also takes NaN and lone surrogates."""
    command: object
    try:
        command = json.loads(value.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return command


def _is_instant(value: object) -> bool:
    return type(value) is int and value >= 0


def _envelope_complaint(command: dict[str, Any]) -> str | None:
    command_id = command.get("command_id")
    if not isinstance(command_id, str) or not is_command_id(command_id):
        return "The command_id must be a UUID in lower case."
    operation = command.get("type")
    if not isinstance(operation, str) or operation not in BY_NAME:
        return "The type is not an operation of this system."
    if "idempotency_key" not in command:
        return "The member idempotency_key is required; null means none."
    idempotency_key = command["idempotency_key"]
    if idempotency_key is not None and not (isinstance(idempotency_key, str) and is_idempotency_key(idempotency_key)):
        return "The idempotency_key must be 1 to 255 printable ASCII characters, or null."
    if not _is_instant(command.get("issued_at")) or not _is_instant(command.get("deadline_at")):
        return "The members issued_at and deadline_at must be Unix milliseconds."
    if not isinstance(command.get("payload"), dict):
        return "The body must be a JSON object."
    return None


def _rejected(
    offset: int,
    timestamp: int,
    reason: str,
    detail: str,
    command: dict[str, Any] | None,
    headers: Headers,
    code: str = "invalid_request",
) -> Rejected:
    """`command` is None where nobody may be answered."""
    command_id = command.get("command_id") if command is not None else None
    if command is None or not isinstance(command_id, str) or not is_command_id(command_id):
        return Rejected(offset, timestamp, reason, "invalid_request", detail, None, None, None, headers)
    idempotency_key = command.get("idempotency_key")
    readable = isinstance(idempotency_key, str) and is_idempotency_key(idempotency_key)
    return Rejected(
        offset,
        timestamp,
        reason,
        code,
        detail,
        command_id,
        command["merchant_id"],
        idempotency_key if readable else None,
        headers,
    )
