"""duplicate_charge: one intent of a customer was executed more than once.

Is:      a second charge, hold, capture, void, refund or whatever else for what the customer meant
         to do once. Cause client_retry: another command (the customer's retry) was executed too. Cause
         new_key: so it was, and under another key: every key was honoured, the client used two. Cause
         network_duplicate: the network delivered one request twice, and both were executed (`network`). Cause
         rewind: the same command was executed again after offsets were moved back over it. Cause
         duplicate_command: so it was, and it is on the log more than once. Cause crash_redelivery: the same
         command was executed again otherwise.
Is not:  a decline and then a success (only one did anything); a capture after its authorization (two intents);
         equal purchases of one customer (two intents); a replayed answer; without a history, a key used again
         after its life.
Money:   what every execution beyond the first took, held or gave back; a void is worth nothing.
"""

from collections.abc import Iterator

from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.network import by_copies
from simulator.audit.records import Event

NAME = "duplicate_charge"


def find(evidence: Evidence) -> Iterator[Finding]:
    for intent, events in evidence.events_of_intent.items():
        if len(events) < 2:
            continue
        executed = sorted((event for event in events if event.executed), key=_place)
        copied = by_copies(evidence, intent, executed)
        # What a copy of the network made comes last: it is the one too many, even where it came first.
        executed.sort(key=lambda event: (event.identity in copied, _place(event)))
        seen = {executed[0].identity} if executed else set()
        for event in executed[1:]:
            if event.identity in seen:
                cause = _again(evidence, event)
            else:
                cause = "network_duplicate" if event.identity in copied else _retry(evidence, intent, event)
            yield _finding(evidence, intent, executed[0], event, cause)
            seen.add(event.identity)


def _finding(evidence: Evidence, intent: str, first: Event, again: Event, cause: str) -> Finding:
    commands = {
        (command.partition, command.offset): command
        for event in (first, again)
        for command in evidence.commands_of.get(event.identity, ())
    }
    how = {
        "client_retry": "a retry of the customer was executed as well",
        "new_key": "the client asked again under another key, and each key was honoured",
        "network_duplicate": "the network delivered the request twice, and both were executed",
        "crash_redelivery": "its command was executed again",
        "rewind": "its command was delivered again by a rewind and executed again",
        "duplicate_command": "its command is on the log more than once and was executed again",
    }[cause]
    return Finding(
        intent,
        f"{again.type} of {again.amount} {again.currency} a second time for one intent: {how}.",
        (*commands.values(), first, again),
        cause,
        again.money,
        intent,
    )


def _place(event: Event) -> tuple[int, int, int]:
    return event.timestamp, event.partition, event.offset


def _again(evidence: Evidence, event: Event) -> str:
    rewinds = evidence.clients.rewinds if evidence.clients else ()
    for command in evidence.commands_of.get(event.identity, ()):
        for rewind in rewinds:
            if rewind.redelivered(command.partition, command.offset) and event.timestamp >= rewind.since:
                return "rewind"
    copies = [
        command for command in evidence.commands_of.get(event.identity, ()) if command.timestamp <= event.timestamp
    ]
    return "duplicate_command" if len(copies) > 1 else "crash_redelivery"


def _retry(evidence: Evidence, intent: str, again: Event) -> str:
    """A new key if nothing of this intent was executed before under the key of this event."""
    earlier = [event for event in evidence.events_of_intent[intent] if event.executed and _place(event) < _place(again)]
    if again.idempotency_key is None or any(event.idempotency_key == again.idempotency_key for event in earlier):
        return "client_retry"
    return "new_key"
