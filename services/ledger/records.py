"""Records of the three topics, from bytes to what the ledger books. Pure.

In:      one record's key, value, offset and log timestamp.
Out:     Event, UsedKey, ExpiredKey, Reached, KeyCommand; None for a record that says nothing to the ledger.
Errors:  Unreadable, one sentence: the record is logged, counted and skipped, whoever wrote it.
Source:  CONTRACT, "The log". Numbers beyond 64 bits fit no column and are refused here, not in the database.
"""

from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from events.canonical import InvalidJson, canonical, parse
from events.charges import ChargeEvent
from events.codec import ReceivedCommand, decode_command
from events.identifiers import COMMAND_KEY_PREFIX, POSITION_KEY, is_idempotency_key, is_merchant_id
from events.keys import KeyRecord, PositionRecord
from services.kafka.port import Record

INTEGER_MAX: Final = 2**63 - 1


class Unreadable(ValueError):
    """A record that does not say what its topic promises."""


class Event(NamedTuple):
    offset: int
    event_id: str
    type: str
    charge_id: str
    merchant_id: str
    currency: str
    amount: int
    authorized_amount: int
    sequence: int
    command_id: str
    idempotency_key: str | None
    occurred_at: int
    charge: str


class KeyCommand(NamedTuple):
    offset: int
    merchant_id: str
    idempotency_key: str
    command_id: str
    operation: str
    fingerprint: str
    appended_at: int


class UsedKey(NamedTuple):
    """What a key holds; the fields after the name are the columns of `key_records`."""

    merchant_id: str
    idempotency_key: str
    operation: str
    fingerprint: str
    status: int
    body: str
    charge_id: str | None
    event_id: str | None
    command_id: str
    command_offset: int
    completed_at: int
    expires_at: int


class ExpiredKey(NamedTuple):
    merchant_id: str
    idempotency_key: str


class Reached(NamedTuple):
    """How far the processor of this partition has come."""

    position: int
    clock: int


_event = ChargeEvent.__pydantic_validator__.validate_python
_key = KeyRecord.__pydantic_validator__.validate_python
_position = PositionRecord.__pydantic_validator__.validate_python


def read_charge_event(record: Record) -> Event:
    """A record of `charges`."""
    event = _checked(record.value, _event)
    charge = event["data"]["charge"]
    _fits(event["sequence"], event["occurred_at"])
    return Event(
        record.offset,
        event["event_id"],
        event["type"],
        event["charge_id"],
        event["merchant_id"],
        event["currency"],
        event["amount"],
        charge["amount"],
        event["sequence"],
        event["command_id"],
        event["idempotency_key"],
        event["occurred_at"],
        canonical(charge).decode(),
    )


def read_key_record(record: Record) -> UsedKey | ExpiredKey | Reached | None:
    """A record of `keys`; None for the key record of a command that had no key."""
    if record.key is None:
        raise Unreadable("The record has no key.")
    if record.key == POSITION_KEY:
        reached = _checked(record.value, _position)
        _fits(reached["position"], reached["clock"])
        return Reached(reached["position"], reached["clock"])
    if record.key.startswith(COMMAND_KEY_PREFIX.encode()):
        return None
    merchant_id, _, idempotency_key = record.key.decode("utf-8", "replace").partition("/")
    if not is_merchant_id(merchant_id) or not is_idempotency_key(idempotency_key):
        raise Unreadable("The record key is not merchant_id/idempotency_key.")
    if record.value is None:
        return ExpiredKey(merchant_id, idempotency_key)
    held = _checked(record.value, _key)
    if (held["merchant_id"], held["idempotency_key"]) != (merchant_id, idempotency_key):
        raise Unreadable("The value is of another key.")
    _fits(held["offset"], held["completed_at"], held["expires_at"])
    if not 100 <= held["status"] <= 599:
        raise Unreadable("The status is not an HTTP status.")
    return UsedKey(
        merchant_id,
        idempotency_key,
        held["operation"],
        held["fingerprint"],
        held["status"],
        held["body"],
        held["charge_id"],
        held["event_id"],
        held["command_id"],
        held["offset"],
        held["completed_at"],
        held["expires_at"],
    )


def read_command(record: Record, partition: int, partitions: int) -> KeyCommand | None:
    """A record of `commands`; None for a command without a key. A dead letter is no attempt under any key."""
    command = decode_command(record.offset, record.timestamp, record.key, record.value, (), partition, partitions)
    if not isinstance(command, ReceivedCommand):
        raise Unreadable(command.detail)
    if command.idempotency_key is None:
        return None
    return KeyCommand(
        command.offset,
        command.merchant_id,
        command.idempotency_key,
        command.command_id,
        command.type,
        command.fingerprint,
        command.timestamp,
    )


def _checked(value: bytes | None, validate: Any) -> dict[str, Any]:
    """The value as it was written, once its model has agreed with it."""
    if value is None:
        raise Unreadable("The record has no value.")
    try:
        decoded: dict[str, Any] = parse(value)
        validate(decoded)
    except InvalidJson as error:
        raise Unreadable(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Unreadable(f"The member {where or '(all)'} is not valid: {first['msg']}.") from None
    return decoded


def _fits(*numbers: int) -> None:
    if not all(-INTEGER_MAX <= number <= INTEGER_MAX for number in numbers):
        raise Unreadable("A number does not fit 64 bits.")
