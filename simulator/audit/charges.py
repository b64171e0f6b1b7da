"""The life of each charge as its events tell it, for those anomalies that look at one charge at a time.

In:      Evidence.
Out:     per charge its events in log order, phantoms left out; `first_of_each` leaves plain duplicates out too.

A charge is judged only where the log has it from its first event to its last: nothing of `charges` deleted, no
Kafka transaction open. An event whose command is not on the log is a phantom, which is an anomaly of its own, and
perhaps somebody else's: it changes nothing about the charge it names.
"""

from collections.abc import Iterator, Sequence

from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.log import CHARGES
from simulator.audit.records import Command, Event


def lives(evidence: Evidence) -> Iterator[Sequence[Event]]:
    """The events of each charge (of one merchant, in one partition), in log order."""
    known = {partition: _is_known(evidence, partition) for partition in range(evidence.extent.partitions)}
    for events in evidence.events_of_charge.values():
        apart: dict[tuple[int, str], list[Event]] = {}
        for event in events:
            phantom = evidence.whole.get(event.partition, False) and event.identity not in evidence.commands_of
            if known.get(event.partition, False) and not phantom:
                apart.setdefault((event.partition, event.merchant_id), []).append(event)
        yield from apart.values()


def _is_known(evidence: Evidence, partition: int) -> bool:
    bounds = evidence.extent.bounds.get((CHARGES, partition))
    return bounds is not None and bounds.start == 0 and bounds.stable >= bounds.end


def first_of_each(events: Sequence[Event]) -> list[Event]:
    """Without what was recorded again under the same event_id: that is `duplicate_charge`, and no new step."""
    found: dict[str, Event] = {}
    for event in events:
        found.setdefault(event.event_id, event)
    return list(found.values())


def commands_of(evidence: Evidence, events: Sequence[Event]) -> list[Command]:
    """The commands that asked for these events, once each."""
    found = {
        event.identity: evidence.commands_of[event.identity][0]
        for event in events
        if event.identity in evidence.commands_of
    }
    return list(found.values())


def moved_beyond(evidence: Evidence, touched: Sequence[Event], beyond: dict[str, int], what: str) -> Finding:
    """More money was moved by these events of one charge than might be; `what` says it, after the sum."""
    charge_id = touched[0].charge_id
    excess = ", ".join(f"{amount} {currency}" for currency, amount in beyond.items())
    commands = commands_of(evidence, touched)
    intent = next((command.intent for command in reversed(commands)), charge_id)
    return Finding(charge_id, f"{excess} {what} of charge {charge_id}.", (*commands, *touched), None, beyond, intent)
