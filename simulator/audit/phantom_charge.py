"""phantom_charge: a charge event that nobody asked for.

Is:      an event whose command is not on the log; with a complete history, also one whose command no customer
         sent.
Is not:  an event whose command has been deleted by retention (the log does not begin at 0 any more); an event
         of other people's commands in a shared namespace (then the history is not complete); a second event
         of a command that is there (`duplicate_charge`).
Money:   what the event takes, holds or gives back.
"""

from collections.abc import Iterator

from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding

NAME = "phantom_charge"


def find(evidence: Evidence) -> Iterator[Finding]:
    for event in evidence.events:
        commands = evidence.commands_of.get(event.identity)
        if not commands:
            if evidence.whole.get(event.partition, False):
                summary = f"{event.type} of {event.amount} {event.currency} without any command {event.command_id}."
                yield Finding(event.charge_id, summary, (event,), None, event.money)
        elif commands[0].foreign and evidence.history_complete.get(event.partition, False):
            summary = f"{event.type} of {event.amount} {event.currency} for a command that no customer sent."
            yield Finding(event.charge_id, summary, (commands[0], event), None, event.money)
