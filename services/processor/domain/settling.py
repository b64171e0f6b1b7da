"""What a batch of commands comes to: who is executed, who is answered again, who is refused.

In:      the rules, where the partition stands, commands in log order, what the store holds of their keys.
Out:     the records to append, the writes of the store, where the partition stands then.
Units:   offsets of `commands`; instants in Unix milliseconds of the partition's clock.
Errors:  none for whatever stands on the log; an exception is a bug, and the worker dead-letters its cause.
Source:  CONTRACT, "The log"; DESIGN, "Exactly once". Pure: the same log always gives the same bytes.

The order of the questions matters. Is it on the log already under another key? Does a key record answer it? Only
then: is it redelivered, is it too late? So whatever was answered once is answered again with the same bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from events.canonical import canonical
from events.charge_events.base import Answers
from events.codec import COMMAND_ID_REUSED, INTERNAL_ERROR, ReceivedCommand, Rejected, decode_command
from events.codes import CODES, DECLINES, problem_body
from events.guarantees import Guarantee
from events.identifiers import charge_id, event_id, refund_id
from events.operations import BY_NAME
from services.kafka.packed import Appending
from services.kafka.port import Outgoing, Record
from services.processor.domain import writing
from services.processor.domain.payment import Charge, Fact, created, decide, evolve
from services.processor.domain.rules import Rules, Standing
from services.processor.domain.stored import (
    executed_under,
    newest_event,
    of_event,
    of_first,
    of_key,
    of_newest,
)

__all__ = ["Incoming", "Rules", "Settled", "Standing", "Turn", "decode", "expires_at", "lookups"]
__all__ += ["settle", "settle_expiry", "settle_failure"]

_EXPIRES_AT: Final = b',"expires_at":'  # inside of a string its quotes would have backslashes
_DIGITS_MOST: Final = 40


class Incoming(NamedTuple):
    """One record of `commands`, decoded, and the names that its execution would have."""

    command: ReceivedCommand | Rejected
    record: Record
    event_id: str
    charge_id: str


@dataclass(slots=True)
class Settled:
    standing: Standing
    keys: Appending = field(default_factory=list)
    charges: Appending = field(default_factory=list)
    replies: Appending = field(default_factory=list)
    dead_letters: list[Outgoing] = field(default_factory=list)
    writes: dict[bytes, bytes | None] = field(default_factory=dict)
    executed: int = 0
    replayed: int = 0
    refused: int = 0
    expired: int = 0
    dead: int = 0

    def add(self, later: "Settled") -> None:
        """What was settled after this, knowing of it."""
        self.standing = later.standing
        self.keys.extend(later.keys)
        self.charges.extend(later.charges)
        self.replies.extend(later.replies)
        self.dead_letters.extend(later.dead_letters)
        self.writes.update(later.writes)
        self.executed += later.executed
        self.replayed += later.replayed
        self.refused += later.refused
        self.expired += later.expired
        self.dead += later.dead


def decode(rules: Rules, records: Sequence[Record]) -> list[Incoming]:
    incoming = []
    partition, partitions = rules.partition, rules.partitions
    for record in records:
        command = decode_command(
            record.offset, record.timestamp, record.key, record.value, record.headers, partition, partitions
        )
        if isinstance(command, Rejected):
            incoming.append(Incoming(command, record, "", ""))
            continue
        merchant_id, command_id = command.merchant_id, command.command_id
        begins = BY_NAME[command.type].begins
        about = charge_id(merchant_id, command_id) if begins else command.payload["charge_id"]
        incoming.append(Incoming(command, record, event_id(merchant_id, command_id), about))
    return incoming


def lookups(rules: Rules, incoming: Sequence[Incoming]) -> list[bytes]:
    """What the store must be asked before `settle` can decide."""
    wanted = []
    once = rules.guarantee is Guarantee.EXACTLY_ONCE
    for command, _, event, charge in incoming:
        if isinstance(command, Rejected):
            continue
        wanted.append(of_key(command.key))
        if BY_NAME[command.type].begins:
            wanted.append(of_first(charge) if once else of_newest(charge))
        else:
            wanted += (of_event(event), of_first(charge), of_newest(charge))
    return wanted


def expires_at(value: bytes) -> int:
    """The last member of a key record, as we write it; any other form is read as JSON."""
    at = value.rfind(_EXPIRES_AT, -_DIGITS_MOST)
    digits = value[at + len(_EXPIRES_AT) : -1]
    if at >= 0 and digits.isdigit() and value.endswith(b"}"):
        return int(digits)
    instant: int = orjson.loads(value)["expires_at"]
    return instant


def settle_expiry(
    rules: Rules, standing: Standing, candidates: Sequence[tuple[bytes, bytes]], found: Mapping[bytes, bytes | None]
) -> tuple[list[Outgoing], dict[bytes, bytes | None]]:
    """Tombstones for those of `candidates` (record key and value in `keys`) that are still the newest of their key."""
    gone = [key for key, value in candidates if found.get(of_key(key)) == value and standing.clock >= expires_at(value)]
    return [Outgoing(key, None, ()) for key in gone], {of_key(key): None for key in gone}


def settle_failure(rules: Rules, standing: Standing, incoming: Incoming, error: Exception) -> Settled:
    """A record on which deciding itself failed: kept as a dead letter, answered 500, nothing stored."""
    command, record = incoming.command, incoming.record
    turn = _turn(rules, standing, {})
    redelivered = turn.reads(record.offset, record.timestamp)
    turn.bury(record, INTERNAL_ERROR, redelivered)
    if command.command_id is not None:
        turn.refuse(command, "internal_error")
    return turn.done()


def settle(
    rules: Rules, standing: Standing, incoming: Sequence[Incoming], found: Mapping[bytes, bytes | None]
) -> Settled:
    turn = _turn(rules, standing, found)
    for one in incoming:
        turn.take(one)
    return turn.done()


def _turn(rules: Rules, standing: Standing, found: Mapping[bytes, bytes | None]) -> "Turn":
    return (rules.turn or Turn)(rules, standing, found)


class Turn:
    """One batch being settled: commands of the same key in it see each other through `writes`."""

    __slots__ = ("clock", "found", "position", "positioned", "rules", "settled", "writes")

    def __init__(self, rules: Rules, standing: Standing, found: Mapping[bytes, bytes | None]) -> None:
        self.rules = rules
        self.found = found
        self.position, self.clock = standing
        self.settled = Settled(standing)
        self.writes = self.settled.writes
        # Whether the position and the ids already on the log have a say, beside the key record.
        self.positioned = rules.guarantee is Guarantee.EXACTLY_ONCE

    def done(self) -> Settled:
        self.settled.standing = Standing(self.position, self.clock)
        return self.settled

    def reads(self, offset: int, timestamp: int) -> bool:
        """Move the clock and the position; whether this record had been read before."""
        self.clock = max(self.clock, timestamp)
        redelivered = self.positioned and offset < self.position
        self.position = max(self.position, offset + 1)
        return redelivered

    def take(self, incoming: Incoming) -> None:
        command, record = incoming.command, incoming.record
        redelivered = self.reads(record.offset, record.timestamp)
        if isinstance(command, Rejected):
            self.bury(record, command.reason, redelivered)
            if command.command_id is not None:
                self.refuse(command, command.code, command.detail)
            return
        executed_as = self._executed_under(incoming, command) if self.positioned else None
        if executed_as is not None and executed_as != command.key:
            self.bury(record, COMMAND_ID_REUSED, redelivered)
        elif self._answer_from_record(command, redelivered):
            return
        elif redelivered or executed_as is not None or self.clock > command.deadline_at:
            self.settled.expired += 1
            self.refuse(command, "command_expired")
        else:
            self._execute(incoming, command)

    def bury(self, record: Record, reason: str, redelivered: bool) -> None:
        """A dead letter, once: a redelivered one was written in the transaction that moved the position past it."""
        self.settled.dead += 1
        if not redelivered:
            self.settled.dead_letters.append(writing.dead_letter(self.rules, record, reason))

    def refuse(self, command: ReceivedCommand | Rejected, code: str, detail: str | None = None) -> None:
        """An answer that is not stored under the key."""
        self.reply(command, CODES[code].status, problem_body(code, detail), replayed=False)

    def _get(self, key: bytes) -> bytes | None:
        return self.writes[key] if key in self.writes else self.found.get(key)

    def _executed_under(self, incoming: Incoming, command: ReceivedCommand) -> bytes | None:
        """The record key of the command with this id that was executed; None where none was."""
        if not BY_NAME[command.type].begins:
            return self._get(of_event(incoming.event_id))
        first = self._get(of_first(incoming.charge_id))
        return None if first is None else executed_under(first)

    def _answer_from_record(self, command: ReceivedCommand, redelivered: bool) -> bool:
        """Whether the key record answers this command: with the original bytes, or with a refusal."""
        if not self.rules.guarantee.looks_at_keys:
            return False
        value = self._get(of_key(command.key))
        if value is None:
            return False
        record = orjson.loads(value)
        if not self.remembers(record, command):
            return False
        if redelivered and record["offset"] > command.offset:
            return False  # the key was used again since: it says nothing about this command
        if not self.is_same_request(record, command):
            self.settled.refused += 1
            self.refuse(command, "idempotency_key_reused")
            return True
        self.settled.replayed += 1
        replayed = record["command_id"] != command.command_id
        self.reply(command, record["status"], self.body_of(record), replayed=replayed)
        return True

    def remembers(self, record: dict[str, Any], command: ReceivedCommand) -> bool:
        """Whether the key still stands for what this record says."""
        still: bool = self.clock < record["expires_at"]
        return still

    def is_same_request(self, record: dict[str, Any], command: ReceivedCommand) -> bool:
        same: bool = record["fingerprint"] == command.fingerprint
        return same

    def body_of(self, record: dict[str, Any]) -> str:
        body: str = record["body"]
        return body

    def _execute(self, incoming: Incoming, command: ReceivedCommand) -> None:
        before, sequence = self._charge(incoming, command)
        fact = self.decides(before, command)
        if isinstance(fact, str):
            self.settled.refused += 1
            self._keep(command, CODES[fact].status, problem_body(fact), None, None)
            return
        charge = (
            evolve(before, fact)
            if before is not None
            else created(incoming.charge_id, command.merchant_id, command.payload, fact, self.clock)
        )
        self.append(incoming, command, fact, charge, sequence)

    def _charge(self, incoming: Incoming, command: ReceivedCommand) -> tuple[dict[str, Any] | None, int]:
        """The charge that the command is about, as far as its merchant may see it, and its next event's number."""
        if BY_NAME[command.type].begins:
            return None, 1
        value = self.newest_event(incoming.charge_id)
        if value is None:
            return None, 1
        event = orjson.loads(value)
        if event["merchant_id"] != command.merchant_id:
            return None, 1
        return event["data"]["charge"], event["sequence"] + 1

    def newest_event(self, charge_id: str) -> bytes | None:
        """The charge's last event, those of this batch included."""
        return newest_event(charge_id, self._get)

    def decides(self, charge: Charge | None, command: ReceivedCommand) -> Fact | str:
        return decide(charge, command.type, command.payload)

    def append(
        self, incoming: Incoming, command: ReceivedCommand, fact: Fact, charge: dict[str, Any], sequence: int
    ) -> None:
        event, clock = incoming.event_id, self.clock
        charge_text = canonical(charge)
        refund: dict[str, Any] | None = None
        body = charge_text
        if fact.kind.answers is Answers.REFUND:
            refund = {
                "id": refund_id(command.merchant_id, command.command_id),
                "object": "refund",
                "charge_id": charge["id"],
                "amount": fact.amount,
                "currency": charge["currency"],
                "created_at": clock,
            }
            body = canonical(refund)
        elif fact.decline_code is not None:
            detail = DECLINES[fact.decline_code]
            body = problem_body(
                "card_declined", detail, decline_code=fact.decline_code, charge_id=charge["id"]
            ).encode()
        value = writing.event_value(command, event, fact, charge, charge_text, refund, sequence, clock)
        headers = writing.event_headers(self.rules, command, event, fact, clock)
        self.settled.executed += 1
        self.settled.charges.append(Outgoing(charge["id"].encode(), value, headers))
        self._store_event(charge["id"], sequence, event, command.key, value)
        self._keep(command, fact.kind.answer_status, body.decode(), event, charge["id"])

    def _store_event(self, charge: str, sequence: int, event: str, key: bytes, value: bytes) -> None:
        if sequence > 1:
            self.writes[of_newest(charge)] = value
            self.writes[of_event(event)] = key
            return
        self.writes[of_first(charge)] = value
        if self._get(of_newest(charge)) is not None:
            self.writes[of_newest(charge)] = None

    def _keep(self, command: ReceivedCommand, status: int, body: str, event: str | None, charge: str | None) -> None:
        """Store the answer under the key, and give it."""
        value = writing.key_value(self.rules, command, self.clock, status, body, event, charge)
        self.settled.keys.append(Outgoing(command.key, value, ()))
        self.writes[of_key(command.key)] = value
        self.reply(command, status, body, replayed=False)

    def reply(self, command: ReceivedCommand | Rejected, status: int, body: str, *, replayed: bool) -> None:
        assert command.command_id is not None
        self.settled.replies.append(
            writing.reply(
                command.command_id,
                command.merchant_id,
                command.idempotency_key,
                command.headers,
                status,
                body,
                replayed,
            )
        )
