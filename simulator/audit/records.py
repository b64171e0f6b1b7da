"""The records of the log with their meaning: small, slotted, decoded once and without a model's checks.

In:      one `Entry`.
Out:     Command, Event, Reply, KeyRecord, Position.
Errors:  whatever is missing raises KeyError or TypeError; the collector keeps such a record as unreadable.
Source:  CONTRACT, "The log". Every kind can say itself in one line of a timeline (`moment`).
"""

from dataclasses import dataclass
from typing import Any

import orjson

from simulator.audit import rules
from simulator.audit.declared import BEGINNING, EXECUTED, MOVES
from simulator.audit.log import Entry

Producer = tuple[int, int] | None  # id and epoch


@dataclass(slots=True)
class Command:
    """One request. `readable`: the auditor's rules can execute it; `sure`: nobody may refuse it as bad."""

    partition: int
    offset: int
    timestamp: int
    command_id: str
    operation: str
    merchant_id: str
    idempotency_key: str | None
    deadline_at: int
    payload: Any
    readable: bool
    sure: bool
    clock: int = 0
    life: int = 0  # which life of its key this command fell into
    binding: bool = False  # that life began with it: it was executed, or refused in a way that is kept
    intent: str = ""
    foreign: bool = False  # a history is given and none of its customers sent this
    producer: Producer = None
    _fingerprint: str | None = None

    @classmethod
    def decode(cls, entry: Entry) -> "Command":
        value = orjson.loads(entry.value or b"")
        merchant, operation, payload = value["merchant_id"], value["type"], value["payload"]
        key = value["idempotency_key"]
        if not (isinstance(merchant, str) and isinstance(value["command_id"], str) and isinstance(operation, str)):
            raise TypeError("not an envelope")
        if not isinstance(key, (str, type(None))) or type(value["deadline_at"]) is not int:
            raise TypeError("not an envelope")
        readable = entry.key == merchant.encode() and rules.valid(operation, payload)
        return cls(
            entry.partition,
            entry.offset,
            entry.timestamp,
            value["command_id"],
            operation,
            merchant,
            key,
            value["deadline_at"],
            payload,
            readable,
            readable and rules.sure(operation, payload) and rules.sure_envelope(value, entry.value or b""),
            entry.clock,
            producer=entry.producer,
        )

    @classmethod
    def unreadable(cls, entry: Entry) -> "Command":
        return cls(entry.partition, entry.offset, entry.timestamp, "", "", "", None, 0, None, False, False, entry.clock)

    @property
    def identity(self) -> tuple[str, str]:
        return self.merchant_id, self.command_id

    @property
    def key_name(self) -> str:
        return "" if self.idempotency_key is None else f"{self.merchant_id}/{self.idempotency_key}"

    @property
    def record_key(self) -> str:
        """Where `keys` remembers this command: under its idempotency key, or under itself."""
        return self.key_name or f"@command/{self.merchant_id}/{self.command_id}"

    @property
    def fingerprint(self) -> str:
        if self._fingerprint is None:
            try:
                self._fingerprint = rules.fingerprint(self.operation, self.payload)
            except (TypeError, ValueError):
                self._fingerprint = f"unreadable@{self.partition}/{self.offset}"
        return self._fingerprint

    @property
    def money(self) -> dict[str, int]:
        """What a creation would move; other operations say their amount only together with their charge."""
        if self.operation in BEGINNING and self.readable and self.payload["payment_method"] == rules.APPROVED:
            return {self.payload["currency"]: self.payload["amount"]}
        return {}

    def moment(self) -> tuple[int, str]:
        what = self.operation or "an unreadable command"
        under = f" under key {self.idempotency_key}" if self.idempotency_key is not None else ""
        return self.timestamp, f"commands {self.partition}@{self.offset}: {what} {self.command_id}{under}"


@dataclass(slots=True)
class Event:
    """One executed command. Money is counted per event record: below exactly-once an event_id may repeat."""

    partition: int
    offset: int
    timestamp: int
    event_id: str
    type: str
    charge_id: str
    merchant_id: str
    amount: int
    currency: str
    sequence: int
    occurred_at: int
    command_id: str
    idempotency_key: str | None
    charge: dict[str, Any]
    refund: dict[str, Any] | None
    producer: Producer = None
    clock: int = 0  # the highest `occurred_at` of the partition so far: where a processor's clock went back, it shows

    @classmethod
    def decode(cls, entry: Entry) -> "Event":
        value = orjson.loads(entry.value or b"")
        data = value["data"]
        return cls(
            entry.partition,
            entry.offset,
            entry.timestamp,
            value["event_id"],
            value["type"],
            value["charge_id"],
            value["merchant_id"],
            value["amount"],
            value["currency"],
            value["sequence"],
            value["occurred_at"],
            value["command_id"],
            value["idempotency_key"],
            data["charge"],
            data.get("refund"),
            entry.producer,
            entry.clock,
        )

    @property
    def identity(self) -> tuple[str, str]:
        return self.merchant_id, self.command_id

    @property
    def executed(self) -> bool:
        """Whether it did what was asked; a decline did nothing."""
        return self.type in EXECUTED

    @property
    def money(self) -> dict[str, int]:
        """What it takes, holds or gives back; a decline and a release are worth nothing."""
        return {self.currency: self.amount} if self.type in MOVES else {}

    def moment(self) -> tuple[int, str]:
        what = f"{self.type} {self.amount} {self.currency} ({self.event_id}, command {self.command_id})"
        return self.timestamp, f"charges {self.partition}@{self.offset}: {what}"


@dataclass(slots=True)
class Reply:
    """One answer of the processor to one command."""

    partition: int
    offset: int
    timestamp: int
    command_id: str
    merchant_id: str
    idempotency_key: str | None
    status: int
    replayed: bool
    body: str
    producer: Producer = None
    _code: str | None = None

    @classmethod
    def decode(cls, entry: Entry) -> "Reply":
        value = orjson.loads(entry.value or b"")
        return cls(
            entry.partition,
            entry.offset,
            entry.timestamp,
            value["command_id"],
            value["merchant_id"],
            value["idempotency_key"],
            value["status"],
            value["replayed"],
            value["body"],
            entry.producer,
        )

    @property
    def identity(self) -> tuple[str, str]:
        return self.merchant_id, self.command_id

    @property
    def code(self) -> str:
        """The stable code of a refusal; empty for an answer that is none."""
        if self._code is None:
            self._code = problem_code(self.status, self.body)
        return self._code

    def moment(self) -> tuple[int, str]:
        again = ", replayed" if self.replayed else ""
        what = f"{self.status}{again} to command {self.command_id} {brief(self.body)}"
        return self.timestamp, f"replies {self.partition}@{self.offset}: {what}"


@dataclass(slots=True)
class KeyRecord:
    """What `keys` remembers of a key or, for a command without one, of the command."""

    partition: int
    record_offset: int  # of this record, in `keys`
    timestamp: int
    name: str
    operation: str
    fingerprint: str
    status: int
    body: str
    charge_id: str | None
    event_id: str | None
    merchant_id: str
    command_id: str
    offset: int  # of the command
    completed_at: int
    expires_at: int
    producer: Producer = None

    @classmethod
    def decode(cls, entry: Entry) -> "KeyRecord":
        value = orjson.loads(entry.value or b"")
        return cls(
            entry.partition,
            entry.offset,
            entry.timestamp,
            (entry.key or b"").decode(),
            value["operation"],
            value["fingerprint"],
            value["status"],
            value["body"],
            value["charge_id"],
            value["event_id"],
            value["merchant_id"],
            value["command_id"],
            value["offset"],
            value["completed_at"],
            value["expires_at"],
            entry.producer,
        )

    @property
    def identity(self) -> tuple[str, str]:
        return self.merchant_id, self.command_id

    def moment(self) -> tuple[int, str]:
        what = f"{self.name} is {self.status} {brief(self.body)} (command {self.command_id} at {self.offset})"
        return self.timestamp, f"keys {self.partition}@{self.record_offset}: {what}"


@dataclass(slots=True)
class Position:
    """The processor's own place in one partition of `commands`."""

    position: int
    clock: int
    window_ms: int

    @classmethod
    def decode(cls, entry: Entry) -> "Position":
        value = orjson.loads(entry.value or b"")
        return cls(value["position"], value["clock"], value["window_ms"])


def problem_code(status: int, body: str) -> str:
    if status < 400:
        return ""
    try:
        return str(orjson.loads(body).get("code", ""))
    except (orjson.JSONDecodeError, AttributeError):
        return "?"


def brief(body: str | None, width: int = 60) -> str:
    """A body short enough for a line: its id and status, or its beginning."""
    try:
        value = orjson.loads(body or "")
        words = [str(value[name]) for name in ("code", "id", "status", "amount", "currency") if name in value]
        return " ".join(words)
    except (orjson.JSONDecodeError, TypeError):
        return (body or "")[:width]
