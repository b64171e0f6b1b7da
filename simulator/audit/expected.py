"""What every command should have been answered, recomputed from `commands` alone.

In:      Evidence of a log whose answers are a function of it: exactly-once only.
Out:     per command (merchant, command_id) the answers that are right for it, usually one.
Source:  CONTRACT: clock, expiry, fingerprint and deadline decide; `issued_at`, tombstones and other processes
         do not.

A command that left no trace is passed over here (it is lost or unanswered, other checks say so), and whatever
contradicts its recomputation spoils its charge and its key for the rest: one fault, one finding.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from simulator.audit import rules
from simulator.audit.declared import BEGINNING, shuts
from simulator.audit.evidence import Evidence, Identity
from simulator.audit.records import Command, Event, Reply


@dataclass(slots=True)
class Expected:
    """One right answer. `body` and `code` are None where any will do (the wording of a refusal)."""

    status: int
    body: str | None
    code: str | None
    replayed: bool
    outcome: rules.Outcome | None = None  # of an execution
    sequence: int = 0
    members: tuple[tuple[str, str], ...] = ()  # that a problem must have

    def fits(self, reply: Reply) -> bool:
        if reply.status != self.status or reply.replayed != self.replayed:
            return False
        if self.body is not None:
            return reply.body == self.body
        if self.code is not None and reply.code != self.code:
            return False
        if self.code is None and reply.code in (
            "command_expired",
            "idempotency_key_in_flight",
            "internal_error",
        ):
            return False
        if not self.members:
            return True
        try:
            body = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            return False
        return all(body.get(name) == value for name, value in self.members)

    def fits_event(self, event: Event) -> bool:
        outcome = self.outcome
        if outcome is None or outcome.event is None:
            return False
        return (
            (event.type, event.amount, event.currency) == (outcome.event, outcome.amount, outcome.currency)
            and event.charge == outcome.charge
            and event.refund == outcome.refund
            and event.sequence == self.sequence
        )

    def say(self) -> str:
        return f"{self.status} {self.body or self.code or 'refused'}"


@dataclass(slots=True)
class _Kept:
    """What a key stands for while clock < expires_at."""

    identity: Identity
    fingerprint: str
    status: int
    body: str | None
    expires_at: int


COMMAND_EXPIRED = Expected(409, None, "command_expired", False)


class Recomputation:
    """Goes through the commands of all partitions once; `answers` is what it found right."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.answers: dict[Identity, list[Expected]] = {}
        self.unsure: set[Identity] = set()
        self._kept: dict[str, _Kept] = {}
        self._charges: dict[tuple[str, str], dict[str, Any]] = {}
        self._sequences: dict[tuple[str, str], int] = {}
        self._executed: set[Identity] = set()
        self._spoilt_charges: set[tuple[str, str]] = set()
        self._spoilt_keys: set[str] = set()
        for command in evidence.commands:
            if evidence.whole.get(command.partition, False) and command.command_id:
                self._command(command)

    def _command(self, command: Command) -> None:
        evidence, identity = self.evidence, command.identity
        replies = evidence.replies_of.get(identity, ())
        if evidence.dead_lettered(command) or not (replies or identity in evidence.events_of):
            return
        charge = self._charge_key(command)
        if not command.readable or command.record_key in self._spoilt_keys or charge in self._spoilt_charges:
            self._spoil(command, charge)
            return
        kept = self._kept.get(command.record_key)
        if kept is not None and command.clock < kept.expires_at:
            self._kept_answer(command, kept)
        elif identity in self._executed:  # a copy of what was executed, after its key expired
            self._allow(identity, COMMAND_EXPIRED)
            if shuts(command.operation):
                self._allow(identity, Expected(409, None, None, False))
        elif command.clock > command.deadline_at:
            self._allow(identity, COMMAND_EXPIRED)
        else:
            self._execute(command, charge, replies)

    def _charge_key(self, command: Command) -> tuple[str, str]:
        if command.operation in BEGINNING or not command.readable:
            return command.merchant_id, rules.derived("ch", *command.identity)
        return command.merchant_id, command.payload["charge_id"]

    def _kept_answer(self, command: Command, kept: _Kept) -> None:
        if kept.fingerprint == command.fingerprint:
            replayed = kept.identity != command.identity
            self._allow(command.identity, Expected(kept.status, kept.body, None, replayed))
        else:
            self._allow(command.identity, Expected(422, None, "idempotency_key_reused", False))
        if command.clock > command.deadline_at:  # both rules are right: too late, and already answered
            self._allow(command.identity, COMMAND_EXPIRED)

    def _execute(self, command: Command, charge: tuple[str, str], replies: Any) -> None:
        outcome = rules.execute(
            command.operation,
            command.payload,
            command.merchant_id,
            command.command_id,
            command.clock,
            self._charges.get(charge),
        )
        body = None if outcome.body is None else rules.canonical(outcome.body)
        expected = Expected(outcome.status, body, outcome.code, False, outcome)
        if outcome.status == 402 and outcome.charge is not None:
            expected.members = (("charge_id", charge[1]), ("decline_code", outcome.charge["decline_code"]))
        if outcome.event is not None:
            expected.sequence = self._sequences.get(charge, 0) + 1
        self._allow(command.identity, expected)
        first = next((reply for reply in replies if not reply.replayed), None)
        if first is not None and not expected.fits(first):
            self._spoil(command, charge)
            self.unsure.discard(command.identity)  # this very answer is wrong; only what follows is spoilt
            return
        if outcome.event is not None and outcome.charge is not None:
            self._executed.add(command.identity)
            self._charges[charge] = outcome.charge
            self._sequences[charge] = expected.sequence
        # The wording of a refusal is not recomputed, but a replay must repeat it to the byte.
        kept_body = body if body is not None else first.body if first is not None else None
        self._kept[command.record_key] = _Kept(
            command.identity,
            command.fingerprint,
            outcome.status,
            kept_body,
            command.clock + self.evidence.key_ttl_ms,
        )

    def _allow(self, identity: Identity, expected: Expected) -> None:
        self.answers.setdefault(identity, []).append(expected)

    def _spoil(self, command: Command, charge: tuple[str, str]) -> None:
        self.unsure.add(command.identity)
        self._spoilt_keys.add(command.record_key)
        self._spoilt_charges.add(charge)
