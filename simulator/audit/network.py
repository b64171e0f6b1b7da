"""Which executions the network's copies of requests made, as far as the history proves it.

In:      Evidence with a history, one intent and its executed events.
Out:     the commands that copies became.
Source:  a copy's own answer names what it made. One whose answer nobody heard is known by counting: what was executed
         under one key more often than the customer's requests can have been is the work of copies of them.

Where copy and customer cannot be told apart the last execution is the copy's. How many there are of each is certain.
"""

from collections import defaultdict
from collections.abc import Sequence

import orjson

from simulator.audit.clients import Intent
from simulator.audit.declared import BEGINNING, EVENTS
from simulator.audit.evidence import Evidence, Identity
from simulator.audit.records import Event


def by_copies(evidence: Evidence, name: str, executed: Sequence[Event]) -> set[Identity]:
    """`executed` are the intent's events in order of their place."""
    clients = evidence.clients
    if clients is None or not (clients.copied or clients.unheard_copies):
        return set()
    found = {event.identity for event in executed if _made(event) in clients.copied}
    intent = clients.intents.get(name)
    if intent is None or not clients.unheard_copies:
        return found
    under: dict[str | None, dict[Identity, Event]] = defaultdict(dict)
    for event in executed:
        if event.identity not in found:
            under[event.idempotency_key].setdefault(event.identity, event)
    for key, events in under.items():
        first = next(iter(events.values()))
        proven = min(_unheard(evidence, name, first), len(events) - _own(intent, key))
        if proven > 0:
            told = _told(intent)
            candidates = [identity for identity, event in events.items() if _made(event) not in told]
            found.update(candidates[-proven:])
    return found


def _made(event: Event) -> str | None:
    """The charge or refund that began with this event; what follows on a charge made nothing of its own."""
    if event.refund is not None:
        return str(event.refund["id"])
    return event.charge_id if event.sequence == 1 else None


def _unheard(evidence: Evidence, name: str, event: Event) -> int:
    """How many copies of such a request arrived, and nobody knows what became of them."""
    assert evidence.clients is not None
    begins = EVENTS[event.type].cause.name in BEGINNING
    return sum(
        copy.idempotency_key == event.idempotency_key
        and (copy.intent == name if copy.intent is not None else copy.idempotency_key is not None or not begins)
        and (begins or f"/{event.charge_id}/" in copy.request)
        for copy in evidence.clients.unheard_copies.get(event.idempotency_key, ())
    )


def _own(intent: Intent, key: str | None) -> int:
    """How many of the customer's requests under this key can have been executed, those sent again unasked included."""
    own = 0
    for attempt in intent.attempts.values():
        if attempt.idempotency_key == key:
            answered_otherwise = attempt.end == "ok" and (attempt.replayed or not 200 <= (attempt.status or 0) < 300)
            own += (attempt.end != "fail" and not answered_otherwise) + len(attempt.resent)
    return own


def _told(intent: Intent) -> set[str]:
    """What the customer's own requests were answered with, as the first to be."""
    told = set()
    for attempt in intent.attempts.values():
        if attempt.end == "ok" and not attempt.replayed and attempt.body is not None:
            try:
                told.add(str(orjson.loads(attempt.body)["id"]))
            except (orjson.JSONDecodeError, KeyError, TypeError):
                continue
    return told
