"""late_reexecution: a command was executed at a time when it could only be refused.

Is:      a command executed once more after its key had expired (an old command, delivered again); a command
         executed with the partition's clock past its `deadline_at`.
Is not:  a new command under a key that has expired, which is a new request; a second execution within the
         window (`duplicate_charge` alone); a refusal with command_expired; an execution exactly at its
         deadline.
Money:   what the late execution moved. Where it is also the intent's second one, duplicate_charge counts it
         too.
"""

from collections.abc import Iterator

from simulator.audit.evidence import Evidence, Identity
from simulator.audit.finding import Finding
from simulator.audit.records import Event

NAME = "late_reexecution"


def find(evidence: Evidence) -> Iterator[Finding]:
    first: dict[Identity, Event] = {}
    for event in evidence.events:
        commands = evidence.commands_of.get(event.identity)
        if not commands:
            continue
        original = first.setdefault(event.identity, event)
        intent = commands[0].intent
        if event is not original and event.clock >= original.occurred_at + evidence.key_ttl_ms:
            late = event.clock - original.occurred_at - evidence.key_ttl_ms
            what = f"{event.type} of {event.amount} {event.currency}"
            summary = f"{what} executed again {late} ms after its key expired."
            yield Finding(intent, summary, (*commands, original, event), None, event.money, intent)
        elif event.occurred_at > commands[0].deadline_at:
            late = event.occurred_at - commands[0].deadline_at
            summary = f"{event.type} of {event.amount} {event.currency} executed {late} ms past its deadline."
            yield Finding(intent, summary, (commands[0], event), None, event.money, intent)
