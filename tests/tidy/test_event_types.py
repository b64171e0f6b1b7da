"""Three rooms keep their own view of each event type (CONTRIBUTING, "Add an event"): none may be forgotten."""

from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest

from events.charges import EventType
from services.ledger import domain as ledger
from simulator.audit import books, rules

AMOUNT, AUTHORIZED = 300, 500


@pytest.mark.parametrize("event_type", get_args(EventType))
def test_ledger_and_auditor_know_every_event(event_type: str) -> None:
    """Both have an opinion of what it does to a balance, and it is the same one."""
    lines = ledger.postings(event_type, AMOUNT, AUTHORIZED)
    event: Any = SimpleNamespace(type=event_type, amount=AMOUNT, charge={"amount": AUTHORIZED})
    assert tuple(ledger.effect(lines)) == tuple(cast("Any", books.effect(event)))
    assert any(event_type in known for known in rules.EVENTS_OF.values())
