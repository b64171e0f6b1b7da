"""key_conflict_accepted: a key was honoured for a request it does not stand for.

Is:      while a key lives, a command under it with another fingerprint (operation or payload) that was
         executed, or answered as if it were the first: with 2xx, a decline, or any other answer that is kept.
Is not:  a 422, which is the right answer; a 400, 500 or command_expired; the same request spelled
         differently; a different request after the key's life, which is a new request; a key whose first
         command was itself never decided.
Money:   what its execution moved, or what the answer made the customer believe.
"""

from collections.abc import Iterator

import orjson

from simulator.audit import rules
from simulator.audit.evidence import Evidence, Identity
from simulator.audit.finding import Finding
from simulator.audit.records import Command, Reply

NAME = "key_conflict_accepted"


def find(evidence: Evidence) -> Iterator[Finding]:
    for name, commands in evidence.commands_of_key.items():
        if len(commands) < 2:
            continue
        holders = {command.life: command for command in commands if command.binding}
        told: set[Identity] = set()
        for command in commands:
            holder = holders.get(command.life)
            if holder is None or command.offset < holder.offset or command.identity in told:
                continue
            told.add(command.identity)  # what a copy of it was answered cannot be told from what it was answered
            if command.fingerprint != holder.fingerprint:
                finding = _conflict(evidence, name, holder, command, commands)
                if finding is not None:
                    yield finding


def _conflict(
    evidence: Evidence, name: str, holder: Command, command: Command, commands: list[Command]
) -> Finding | None:
    until = holder.clock + evidence.key_ttl_ms
    events = [event for event in evidence.events_of.get(command.identity, ()) if event.occurred_at < until]
    elsewhere = any(copy.identity == command.identity and copy.life != command.life for copy in commands)
    replies = evidence.replies_to(command) if not elsewhere else ()
    accepted = [reply for reply in replies if _honours(reply)]
    if events:
        summary = f"Key {name} stands for another request, yet {command.operation} was executed under it."
        return Finding(command.intent, summary, (holder, command, *events[:1]), None, events[0].money, command.intent)
    if accepted:
        answer = f"{command.operation} was answered {accepted[0].status}"
        summary = f"Key {name} stands for another request, yet {answer}."
        money = _believed(accepted[0])
        return Finding(command.intent, summary, (holder, command, accepted[0]), None, money, command.intent)
    return None


def _honours(reply: Reply) -> bool:
    return reply.status not in rules.NOT_STORED and reply.code not in ("command_expired", "internal_error")


def _believed(reply: Reply) -> dict[str, int]:
    if reply.status >= 300:
        return {}
    try:
        body = orjson.loads(reply.body)
        return {str(body["currency"]): int(body["amount"])}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return {}
