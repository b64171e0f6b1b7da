"""illegal_transition: a charge went from one status to another that its state machine does not allow.

Is:      an event of a charge in a status that does not allow its operation (a capture after a void, a refund before
         a capture); a charge that begins with anything but its creation, or is created twice by two commands; an
         event whose `sequence` is not one more than that of the event it follows.
Is not:  the same event recorded again, and whatever follows from that repetition (`duplicate_charge`); an event
         without a command on the log (`phantom_charge`); a charge whose beginning retention has deleted, or whose
         Kafka transaction is still open.
Money:   what the first such event of the charge moves; what comes after it rests on it, and is not told again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.audit import rules
from simulator.audit.charges import commands_of, lives
from simulator.audit.declared import EVENTS, OPERATIONS, allowed
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.records import Event

NAME = "illegal_transition"

_GROWING = frozenset(member for kind in EVENTS.values() for member in kind.adds)


@dataclass(slots=True)
class _Step:
    """The charge after one of its events, by the declarations; only status and amounts are looked at."""

    event: Event
    charge: dict[str, Any]


def find(evidence: Evidence) -> Iterator[Finding]:
    for events in lives(evidence):
        finding = _first_illegal(evidence, events)
        if finding is not None:
            yield finding


def _first_illegal(evidence: Evidence, events: Sequence[Event]) -> Finding | None:
    steps: list[_Step] = []
    known: dict[str, _Step] = {}
    forked = False
    for event in events:
        if event.type not in EVENTS:
            return None  # newer than these rules: what it leads to cannot be judged
        if event.event_id in known:
            # Whoever executed it again went on from there: from now on any step may be the one that is followed.
            forked = True
            steps.append(known[event.event_id])
            continue
        before, wrong = _step_before(steps if forked else steps[-1:], event)
        if wrong:
            proof = ([before.event] if before else []) + [event]
            summary = f"{event.type} of charge {event.charge_id} {wrong}."
            intent = next((command.intent for command in commands_of(evidence, [event])), event.charge_id)
            return Finding(event.charge_id, summary, (*commands_of(evidence, proof), *proof), None, event.money, intent)
        known[event.event_id] = _Step(event, _after(event, before))
        steps.append(known[event.event_id])
    return None


def _step_before(steps: Sequence[_Step], event: Event) -> tuple[_Step | None, str]:
    """The step that the event follows, and what is wrong with that; the newest of several that fit."""
    operation = OPERATIONS[EVENTS[event.type].cause.name]
    if operation.begins:
        if steps:
            return steps[-1], "begins a charge that is there already"
        return None, "" if event.sequence == 1 else f"has sequence {event.sequence}, and is the first"
    if not steps:
        return None, "happened to a charge that does not exist"
    wrong = ""
    for step in reversed(steps):
        status = step.charge["status"]
        if not allowed(operation, status):
            wrong = wrong or f"happened in the status {status}"
        elif event.sequence != step.event.sequence + 1:
            wrong = wrong or f"has sequence {event.sequence}, after {step.event.sequence}"
        else:
            return step, ""
    return steps[-1], wrong


def _after(event: Event, before: _Step | None) -> dict[str, Any]:
    kind = EVENTS[event.type]
    nothing_yet = {"status": None, "amount": event.amount, **dict.fromkeys(_GROWING, 0)}
    return rules.evolved(kind, event.amount, nothing_yet if before is None else before.charge)
