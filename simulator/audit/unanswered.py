"""unanswered: somebody waits for an answer that will never come.

Is:      a command behind the settled point of its partition without reply and without dead letter; a customer
         whose attempts all ended unknown, though he was still asking (504) when his answer had long stood on
         the log and nothing was broken.
Is not:  a command in flight; a command whose loss is already `lost_charge`; a customer who went away, whose
         connection was cut, or who asked during an outage: he could have asked again; a reply that retention
         has deleted.
Money:   what the command moved or should have.
"""

from collections.abc import Iterator

from simulator.audit import lost_charge
from simulator.audit.clients import Attempt, Intent
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.records import Reply

NAME = "unanswered"

QUIET_MS = 15_000  # after an outage a stack needs this long to be itself again: twice the slowest promised recovery
STANDING_MS = 1_000  # an answer this long on the log was there to be given


def find(evidence: Evidence) -> Iterator[Finding]:
    lost: set[str] | None = None  # nobody asks on a log where everything was answered
    told: set[tuple[str, str]] = set()
    for command in evidence.commands:
        if not evidence.absent(command.partition) or not command.command_id or command.identity in told:
            continue
        if command.identity in evidence.replies_of or any(
            evidence.dead_lettered(copy) for copy in evidence.commands_of[command.identity]
        ):
            continue
        events = evidence.events_of.get(command.identity, [])
        if not events:
            lost = {finding.intent for finding in lost_charge.find(evidence)} if lost is None else lost
            if command.intent in lost:
                continue
        told.add(command.identity)
        money = events[0].money if events else command.money
        done = "was executed but" if events else "was neither executed nor refused and"
        summary = f"{command.operation} {done} never answered."
        yield Finding(command.intent, summary, (command, *events[:1]), None, money, command.intent)
    for command in evidence.commands:
        if not command.command_id and evidence.absent(command.partition) and not evidence.dead_lettered(command):
            where = f"{command.partition}@{command.offset}"
            yield Finding(where, "An unreadable command was passed over without a dead letter.", (command,))
    if evidence.clients is not None:
        for intent in evidence.clients.intents.values():
            finding = _customer(evidence, intent)
            if finding is not None:
                yield finding


def _customer(evidence: Evidence, intent: Intent) -> Finding | None:
    attempts = list(intent.attempts.values())
    if not attempts or any(attempt.end != "info" for attempt in attempts):
        return None
    last = attempts[-1]
    replies = [
        reply
        for command in evidence.commands_of_intent.get(intent.name, ())
        for reply in evidence.replies_of.get(command.identity, ())
        if command.idempotency_key is not None and command.idempotency_key == last.idempotency_key
    ]
    if not _gave_up_asking(evidence, last, replies):
        return None
    summary = f"{len(attempts)} attempts ended unknown although the answer stood on the log."
    return Finding(intent.name, summary, (replies[0],), None, {}, intent.name)


def _gave_up_asking(evidence: Evidence, last: Attempt, replies: list[Reply]) -> bool:
    assert evidence.clients is not None
    if last.ended_at is None or not (last.status == 504 or "504" in (last.reason or "")):
        return False
    stood = any(reply.timestamp + STANDING_MS < last.invoked_at for reply in replies)
    return stood and not evidence.clients.troubled(last.invoked_at, last.ended_at, QUIET_MS)
