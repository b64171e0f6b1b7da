"""A log written by hand: what a right processor would append, or one thing left out, doubled or changed.

In:      calls that read like the story of a test; each append is 10 ms after the one before.
Out:     Evidence and Report of the auditor.
Units:   Unix milliseconds beginning at START; amounts in minor units.

One merchant, one partition: `shop`. Bodies are spelled out here, not taken from the auditor's rules.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby
from typing import Any

import rfc8785

from simulator.audit import clients as histories
from simulator.audit.books import Books
from simulator.audit.collecting import Collector
from simulator.audit.evidence import Evidence
from simulator.audit.log import TOPICS, Batch, Bounds, Entry, Extent, Fate
from simulator.audit.report import Report
from simulator.audit.verdict import judge

START = 1_700_000_000_000
SHOP = "shop"


def canonical(value: Any) -> str:
    return rfc8785.dumps(value).decode()


def derived(prefix: str, command_id: str) -> str:
    return f"{prefix}_" + sha256(f"{prefix}\0{SHOP}\0{command_id}".encode()).hexdigest()[:32]


@dataclass
class Asked:
    """A command on the log, and the charge it is about."""

    command_id: str
    operation: str
    key: str | None
    payload: dict[str, Any]
    offset: int
    clock: int

    @property
    def charge_id(self) -> str:
        return self.payload.get("charge_id") or derived("ch", self.command_id)


@dataclass
class WrittenLog:
    guarantee: str = "exactly-once"
    ttl_ms: int = 24 * 3600 * 1000
    now: int = START
    entries: dict[str, list[Entry]] = field(default_factory=lambda: {topic: [] for topic in TOPICS})
    starts: dict[str, int] = field(default_factory=dict)
    open_topics: set[str] = field(default_factory=set)
    history: list[dict[str, Any]] | None = None
    charges: dict[str, dict[str, Any]] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0  # how many of the last commands the processor has not reached yet
    producer: tuple[int, int] | None = None  # id and epoch of whoever appends from now on
    moved_at: int | None = None  # when the processor wrote its position; None: at the end
    _commands: int = 0

    # -- the log ----------------------------------------

    def append(self, topic: str, key: str | None, value: Any, *, fate: Fate = Fate.COMMITTED, headers: Any = ()) -> int:
        self.now += 10
        entries = self.entries[topic]
        offset = entries[-1].offset + 1 if entries else self.starts.get(topic, 0)
        raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
        carried = [(name, str(text).encode()) for name, text in dict(headers).items()]
        entries.append(
            Entry(0, offset, self.now, None if key is None else key.encode(), raw, carried, fate, self.producer)
        )
        return offset

    def command(
        self,
        key: str | None = "k",
        operation: str = "charge.create",
        *,
        command_id: str | None = None,
        deadline_in: int = 80_000,
        **payload: Any,
    ) -> Asked:
        """A command; a creation is of 500 eur with a card that succeeds, unless said otherwise."""
        self._commands += 1
        command_id = command_id or f"00000000-0000-7000-8000-{self._commands:012d}"
        if operation == "charge.create":
            payload = {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa", **payload}
        value = {
            "command_id": command_id,
            "type": operation,
            "merchant_id": SHOP,
            "idempotency_key": key,
            "issued_at": self.now,
            "deadline_at": self.now + deadline_in,
            "payload": payload,
        }
        offset = self.append("commands", SHOP, value)
        return Asked(command_id, operation, key, payload, offset, self.now)

    def again(self, asked: Asked) -> Asked:
        """The very same command appended once more."""
        original = self.entries["commands"][asked.offset - self.starts.get("commands", 0)]
        offset = self.append("commands", SHOP, original.value)
        return Asked(asked.command_id, asked.operation, asked.key, asked.payload, offset, self.now)

    # -- what a right processor appends ----------------------------------------

    def executed(self, asked: Asked, *, only: str = "event key reply") -> dict[str, Any]:
        """Everything one execution commits; `only` leaves parts of it out."""
        status, body, event = self._outcome(asked)
        text = body if isinstance(body, str) else canonical(body)
        if "event" in only.split() and event is not None:
            self.event(asked, **event)
        if "key" in only.split():
            self.key(asked, status, text, event_id=derived("evt", asked.command_id) if event else None)
        if "reply" in only.split():
            self.reply(asked, status, text)
        return {"status": status, "body": text}

    def event(self, asked: Asked, fate: Fate = Fate.COMMITTED, **changes: Any) -> None:
        """The event of a command, with members changed."""
        if not changes:
            changes = self._outcome(asked)[2] or {}
        value = {
            "event_id": derived("evt", asked.command_id),
            "charge_id": asked.charge_id,
            "merchant_id": SHOP,
            "occurred_at": asked.clock,
            "command_id": asked.command_id,
            "idempotency_key": asked.key,
            **changes,
        }
        self.append("charges", asked.charge_id, value, fate=fate)

    def event_again(self, asked: Asked, **changes: Any) -> None:
        """The event of a command once more, as a second execution of the same command makes it."""
        values = [json.loads(entry.value or b"") for entry in self.entries["charges"]]
        value = next(value for value in values if value["command_id"] == asked.command_id)
        self.append("charges", asked.charge_id, {**value, **changes})

    def key(self, asked: Asked, status: int, body: str, **changes: Any) -> None:
        mark = sha256(canonical({"type": asked.operation, "payload": asked.payload}).encode()).hexdigest()
        record = {
            "merchant_id": SHOP,
            "idempotency_key": asked.key,
            "operation": asked.operation,
            "fingerprint": mark,
            "status": status,
            "body": body,
            "charge_id": asked.charge_id,
            "event_id": None,
            "command_id": asked.command_id,
            "offset": asked.offset,
            "completed_at": asked.clock,
            "expires_at": asked.clock + self.ttl_ms,
            **changes,
        }
        self.append("keys", self.key_name(asked), record)

    def key_name(self, asked: Asked) -> str:
        return f"{SHOP}/{asked.key}" if asked.key is not None else f"@command/{SHOP}/{asked.command_id}"

    def tombstone(self, asked: Asked) -> None:
        self.append("keys", self.key_name(asked), None)

    def reply(
        self, asked: Asked, status: int, body: str, *, replayed: bool = False, fate: Fate = Fate.COMMITTED
    ) -> None:
        value = {
            "command_id": asked.command_id,
            "merchant_id": SHOP,
            "idempotency_key": asked.key,
            "status": status,
            "replayed": replayed,
            "body": body,
        }
        self.append("replies", asked.command_id, value, fate=fate)

    def refused(self, asked: Asked, status: int, code: str) -> None:
        """A refusal that is not kept under the key."""
        self.reply(asked, status, canonical({"status": status, "code": code}))

    def dead(self, asked: Asked, reason: str) -> None:
        headers = {"topic": "payments.commands", "partition": 0, "offset": asked.offset, "reason": reason}
        self.append("dead-letters", SHOP, b"{}", headers=headers)

    def _outcome(self, asked: Asked) -> tuple[int, Any, dict[str, Any] | None]:
        """Status, body and the event's own members, for the few things the stories need."""
        sequence = self.sequences[asked.charge_id] = self.sequences.get(asked.charge_id, 0) + 1
        if asked.operation == "charge.create":
            charge = self._created(asked)
            self.charges[asked.charge_id] = charge
            event = self._event_members(f"charge.{charge['status']}", charge["amount"], charge, sequence)
            if charge["status"] == "declined":
                problem = {
                    "status": 402,
                    "code": "card_declined",
                    "decline_code": charge["decline_code"],
                    "charge_id": charge["id"],
                }
                return 402, problem, event
            return 201, charge, event
        before = self.charges.get(asked.charge_id)
        if before is None:
            self.sequences[asked.charge_id] -= 1
            return 404, {"status": 404, "code": "charge_not_found"}, None
        if asked.operation == "charge.capture":
            amount = asked.payload.get("amount", before["amount"])
            charge = {**before, "status": "captured", "captured": True, "amount_captured": amount}
            self.charges[asked.charge_id] = charge
            return 200, charge, self._event_members("charge.captured", amount, charge, sequence)
        if asked.operation == "charge.void":
            charge = self.charges[asked.charge_id] = {**before, "status": "voided"}
            return 200, charge, self._event_members("charge.voided", before["amount"], charge, sequence)
        assert asked.operation == "refund.create"
        amount = asked.payload.get("amount", before["amount_captured"] - before["amount_refunded"])
        refunded = before["amount_refunded"] + amount
        status = "refunded" if refunded == before["amount_captured"] else "partially_refunded"
        charge = {**before, "status": status, "amount_refunded": refunded}
        self.charges[asked.charge_id] = charge
        refund = {
            "id": derived("re", asked.command_id),
            "object": "refund",
            "charge_id": asked.charge_id,
            "amount": amount,
            "currency": before["currency"],
            "created_at": asked.clock,
        }
        event = self._event_members("charge.refunded", amount, charge, sequence)
        event["data"]["refund"] = refund
        return 201, refund, event

    def _created(self, asked: Asked) -> dict[str, Any]:
        payload = asked.payload
        declined = payload["payment_method"] != "pm_card_visa"
        held = payload.get("capture") is False
        taken = not declined and not held
        charge = {
            "id": asked.charge_id,
            "object": "charge",
            "merchant_id": SHOP,
            "status": "declined" if declined else "authorized" if held else "succeeded",
            "amount": payload["amount"],
            "amount_captured": payload["amount"] if taken else 0,
            "amount_refunded": 0,
            "currency": payload["currency"],
            "payment_method": payload["payment_method"],
            "captured": taken,
            "description": payload.get("description"),
            "metadata": payload.get("metadata") or {},
            "created_at": asked.clock,
        }
        if declined:
            charge["decline_code"] = (
                payload["payment_method"].removeprefix("pm_card_").replace("declined", "card_declined")
            )
        return charge

    def _event_members(self, kind: str, amount: int, charge: dict[str, Any], sequence: int) -> dict[str, Any]:
        return {
            "type": kind,
            "amount": amount,
            "currency": charge["currency"],
            "sequence": sequence,
            "data": {"charge": charge},
        }

    # -- the customers ----------------------------------------

    def _line(self, kind: str, **members: Any) -> None:
        if self.history is None:
            self.history = [
                {
                    "kind": "run",
                    "guarantee": self.guarantee,
                    "namespace": "payments",
                    "key_ttl_ms": self.ttl_ms,
                    "started_at": START,
                }
            ]
        self.now += 1
        self.history.append({"kind": kind, "at": self.now, **members})

    def meant(self, intent: str, operation: str = "charge.create", **payload: Any) -> None:
        """A customer means to do this once."""
        if operation == "charge.create":
            payload = {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa", **payload}
        self._line("intent", intent=intent, merchant_id=SHOP, operation=operation, payload=payload, persona="tester")

    def sent(self, intent: str, asked: Asked, attempt: int = 1) -> None:
        """The customer's request that became this command."""
        self._line(
            "invoke",
            intent=intent,
            attempt=attempt,
            merchant_id=SHOP,
            idempotency_key=asked.key,
            operation=asked.operation,
            payload=asked.payload,
            gateway="http://127.0.0.1:1",
        )

    def heard(self, intent: str, answer: dict[str, Any], attempt: int = 1, *, replayed: bool = False) -> None:
        self._line("ok", intent=intent, attempt=attempt, replayed=replayed, **answer)

    def unknown(self, intent: str, attempt: int = 1, reason: str = "timeout") -> None:
        self._line("info", intent=intent, attempt=attempt, reason=reason)

    def fault(self, name: str, phase: str, **detail: Any) -> None:
        self._line("fault", fault=name, phase=phase, detail=detail)

    # -- the verdict ----------------------------------------

    def evidence(self) -> Evidence:
        if self.guarantee == "exactly-once":
            self._position()
        bounds = {}
        for topic, entries in self.entries.items():
            end = entries[-1].offset + 1 if entries else self.starts.get(topic, 0)
            stable = end - 1 if topic in self.open_topics else end
            bounds[topic, 0] = Bounds(self.starts.get(topic, 0), stable, end)
        reached = bounds["commands", 0].end - self.in_flight
        evidence = Evidence("payments", self.guarantee, Extent(1, bounds, {0: reached}))
        evidence.key_ttl_ms = self.ttl_ms
        if self.history is not None:
            evidence.clients = histories.fold(self.history)
        collector = Collector(evidence)
        for topic, entries in self.entries.items():
            collector.take(topic, entries)
        return collector.finish()

    def _position(self) -> None:
        commands = self.entries["commands"]
        end = commands[-1].offset + 1 if commands else 0
        clock = max((entry.timestamp for entry in commands), default=0)
        value = {"position": end - self.in_flight, "clock": clock, "window_ms": self.ttl_ms}
        if self.moved_at is not None:
            self.now = self.moved_at - 10
        self.append("keys", "@position", value)

    def audit(self, books: Books | None = None) -> Report:
        return judge(self.evidence(), books)


def found(report: Report) -> list[tuple[str, str | None, int]]:
    """What a report convicts: (anomaly, cause, count), in order of name."""
    return sorted(
        ((anomaly.name, anomaly.cause, anomaly.count) for anomaly in report.anomalies),
        key=lambda item: (item[0], item[1] or ""),
    )


class OnTheLog:
    """A written log, read as from Kafka: a few records at a time."""

    def __init__(self, log: WrittenLog) -> None:
        self._entries = log.entries
        self.extent: Extent = log.evidence().extent

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[Entry]]:
        assert partition == 0
        for at in range(0, len(self._entries[topic]), 3):
            yield self._entries[topic][at : at + 3]

    async def batches(self, topic: str, partition: int) -> AsyncGenerator[list[Batch]]:
        async for entries in self.read(topic, partition):
            together = groupby(entries, key=lambda entry: (entry.fate, entry.producer))
            yield [_batch(list(some), fate, producer) for (fate, producer), some in together]


def _batch(entries: list[Entry], fate: Fate, producer: tuple[int, int] | None) -> Batch:
    members = "offset timestamp key value headers".split()
    return Batch(0, *([getattr(entry, member) for entry in entries] for member in members), fate, producer)
