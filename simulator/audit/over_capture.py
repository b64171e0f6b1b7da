"""over_capture: more was taken from a customer than was held for it.

Is:      a charge of which more was captured, by all its captures together, than was authorized; a capture of what
         had been declined, or let go.
Is not:  a capture of a part (the rest is released); the same capture recorded again (`duplicate_charge`); an event
         without a command on the log (`phantom_charge`); a charge whose beginning is not on the log any more.
Money:   what was taken beyond the hold.
"""

from collections.abc import Iterator

from simulator.audit.charges import first_of_each, lives, moved_beyond
from simulator.audit.declared import EVENTS, HOLDS, OPERATIONS, RELEASES, TAKES
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.records import Event

NAME = "over_capture"


def find(evidence: Evidence) -> Iterator[Finding]:
    for life in lives(evidence):
        events = first_of_each(life)
        if not _begins(events[0]):
            continue  # `illegal_transition` says so
        beyond = _taken_beyond(events)
        if beyond:
            touched = [event for event in events if event is events[0] or event.type in TAKES | RELEASES]
            yield moved_beyond(evidence, touched, beyond, "more than was held was captured")


def _begins(event: Event) -> bool:
    return event.type in EVENTS and OPERATIONS[EVENTS[event.type].cause.name].begins


def _taken_beyond(events: list[Event]) -> dict[str, int]:
    """By currency what was taken without being held at that moment."""
    held: dict[str, int] = {}
    beyond: dict[str, int] = {}
    for event in events:
        if event.type in HOLDS or (event.type in TAKES and _begins(event)):
            held[event.currency] = held.get(event.currency, 0) + event.amount
        if event.type in TAKES:
            left = held.get(event.currency, 0)
            if event.amount > left:
                beyond[event.currency] = beyond.get(event.currency, 0) + event.amount - left
            held[event.currency] = max(0, left - event.amount)
        elif event.type in RELEASES:
            held.clear()
    return beyond
