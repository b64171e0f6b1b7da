"""over_refund: more went back to a customer than had been taken.

Is:      a charge of which more was refunded, by all its refunds together, than was captured before them; a refund of
         what was only held, or declined.
Is not:  refunds in parts that come to the whole; the same refund recorded again (`duplicate_charge`); an event
         without a command on the log (`phantom_charge`); a charge whose beginning is not on the log any more.
Money:   what went back beyond what had been taken.
"""

from collections.abc import Iterator

from simulator.audit.charges import first_of_each, lives, moved_beyond
from simulator.audit.declared import RETURNS, TAKES
from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.records import Event

NAME = "over_refund"


def find(evidence: Evidence) -> Iterator[Finding]:
    for life in lives(evidence):
        if not any(event.type in RETURNS for event in life):
            continue
        events = first_of_each(life)
        beyond = _returned_beyond(events)
        if beyond:
            touched = [event for event in events if event is events[0] or event.type in TAKES | RETURNS]
            yield moved_beyond(evidence, touched, beyond, "more than was captured went back")


def _returned_beyond(events: list[Event]) -> dict[str, int]:
    """By currency what went back without having been taken before."""
    taken: dict[str, int] = {}
    beyond: dict[str, int] = {}
    for event in events:
        left = taken.get(event.currency, 0)
        if event.type in TAKES:
            taken[event.currency] = left + event.amount
        elif event.type in RETURNS:
            if event.amount > left:
                beyond[event.currency] = beyond.get(event.currency, 0) + event.amount - left
            taken[event.currency] = max(0, left - event.amount)
    return beyond
