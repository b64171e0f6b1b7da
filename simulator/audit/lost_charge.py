"""lost_charge: the customer was told yes, or should have been, and nothing was executed.

Is:      a 2xx answer, on the log or received by a client, whose charge, capture, void or refund has no event;
         a command that should have been executed and was passed over without event, answer or dead letter,
         while nothing else of its intent was executed or answered either.
Is not:  a command still in flight (the partition is not settled); one refused, expired or dead-lettered; one
         passed over whose retry was executed (that is `unanswered`); an event older than the first one the
         log still has.
Money:   what the answer claims, or what the creation should have charged.
"""

from collections.abc import Iterator

import orjson

from simulator.audit.declared import BEGINNING, EVENTS, Answers
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.records import Command

NAME = "lost_charge"

# Which member of a 2xx body says how much money was moved: of a refund and of a new charge their amount, of a charge
# that something was done to the member that grew.
_CLAIMED = {
    kind.cause.name: "amount"
    if kind.answers is Answers.REFUND or kind.cause.name in BEGINNING
    else next(iter(kind.adds), None)
    for kind in EVENTS.values()
}


class _Executed:
    """Index of what the events say was done."""

    def __init__(self, evidence: Evidence) -> None:
        self.done: set[tuple[str, str]] = set()
        for event in evidence.events:
            if event.executed:
                kind = EVENTS[event.type]
                made = (event.refund or {}).get("id") if kind.answers is Answers.REFUND else event.charge_id
                self.done.add((kind.cause.name, str(made)))


def find(evidence: Evidence) -> Iterator[Finding]:
    executed = _Executed(evidence)
    claimed: set[tuple[str, str]] = set()
    yield from _answered_on_the_log(evidence, executed, claimed)
    yield from _answered_to_clients(evidence, executed, claimed)
    yield from _passed_over(evidence)


def _answered_on_the_log(evidence: Evidence, executed: _Executed, claimed: set[tuple[str, str]]) -> Iterator[Finding]:
    for reply in evidence.replies:
        if not 200 <= reply.status < 300 or not evidence.absent(reply.partition):
            continue
        commands = evidence.commands_of.get(reply.identity, [])
        if not commands:
            continue
        first = commands[0]
        name, money = _claim(first.operation, reply.body, first.intent)
        if (first.operation, name) in executed.done or (first.operation, name) in claimed:
            continue
        claimed.add((first.operation, name))
        summary = f"{reply.status} was answered for {first.operation} {name}, which has no event."
        yield Finding(first.intent, summary, (first, reply), None, money, first.intent)


def _answered_to_clients(evidence: Evidence, executed: _Executed, claimed: set[tuple[str, str]]) -> Iterator[Finding]:
    for intent in evidence.clients.intents.values() if evidence.clients is not None else ():
        if not evidence.absent_for(intent.merchant_id):
            continue
        for attempt in intent.attempts.values():
            if attempt.end != "ok" or not 200 <= (attempt.status or 0) < 300 or attempt.body is None:
                continue
            name, money = _claim(attempt.operation, attempt.body, intent.name)
            if (attempt.operation, name) in executed.done or (attempt.operation, name) in claimed:
                continue
            claimed.add((attempt.operation, name))
            answer = f"{attempt.status} for {attempt.operation} {name}"
            summary = f"The customer was answered {answer}, which has no event."
            commands = evidence.commands_of_intent.get(intent.name, [])
            yield Finding(intent.name, summary, tuple(commands), None, money, intent.name)


def _passed_over(evidence: Evidence) -> Iterator[Finding]:
    seen: set[str] = set()
    for command in evidence.commands:
        if not evidence.absent(command.partition) or not command.sure or command.intent in seen:
            continue
        if command.clock > command.deadline_at or _left_a_trace(evidence, command):
            continue
        seen.add(command.intent)
        siblings = evidence.commands_of_intent.get(command.intent, [command])
        if any(_left_a_trace(evidence, sibling) for sibling in siblings) or not _would_execute(evidence, command):
            continue
        yield Finding(
            command.intent,
            f"{command.operation} was passed over: no event, no answer, no dead letter.",
            (command,),
            None,
            command.money,
            command.intent,
        )


def _left_a_trace(evidence: Evidence, command: Command) -> bool:
    return (
        command.identity in evidence.events_of
        or command.identity in evidence.replies_of
        or evidence.dead_lettered(command)
    )


def passed_over(evidence: Evidence, command: Command) -> bool:
    return not _left_a_trace(evidence, command)


def _would_execute(evidence: Evidence, command: Command) -> bool:
    if command.operation in BEGINNING:
        return bool(command.money)
    return command.payload["charge_id"] in evidence.events_of_charge


def _claim(operation: str, body: str, intent: str) -> tuple[str, dict[str, int]]:
    """What a 2xx body says was done: the id it was done to, and how much money that was."""
    try:
        value = orjson.loads(body)
        member = _CLAIMED.get(operation)
        money = {str(value["currency"]): int(value[member])} if member else {}
        return str(value["id"]), money
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return f"of {intent} with an unreadable body ({body[:40]})", {}
