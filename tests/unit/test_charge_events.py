"""Whatever is declared of operations and events: each room that reads it comes to what was worked out by hand."""

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from events.charge_events import CHARGE_EVENTS, MADE_BY
from events.charge_events.base import Answers, EventType
from events.charges import ChargeEvent
from events.codes import CODES
from events.commands import validate_payload
from events.event_examples import example_record
from events.operations import OPERATIONS
from events.operations.base import Operation
from services.ledger import domain as ledger
from services.processor.domain.payment import created, decide, evolve
from simulator.audit import books, rules

CLOCK = 1_700_000_000_000
EVERY_EVENT = pytest.mark.parametrize("kind", CHARGE_EVENTS, ids=lambda kind: kind.name)
EVERY_OPERATION = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def the_case(kind: EventType) -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]:
    """Payload, charge before and charge after of the example, with the names that are derived."""
    example = kind.example
    name = rules.derived("ch", "shop", "c")
    names = {"id": name, "object": "charge", "merchant_id": "shop", "created_at": CLOCK}
    before = {**example.before.charge_after, **names} if example.before else None
    payload = dict(example.payload) if kind.cause.begins else {"charge_id": name, **example.payload}
    return payload, before, {**example.charge_after, **names}


@EVERY_EVENT
def test_the_processor_comes_to_the_example(kind: EventType) -> None:
    """Its command makes this event happen, of this amount, and the charge is this one afterwards."""
    payload, before, after = the_case(kind)
    fact = decide(before, kind.cause.name, payload)
    assert not isinstance(fact, str), fact
    assert (fact.kind, fact.amount) == (kind, kind.example.amount)
    assert after == (evolve(before, fact) if before else created(after["id"], "shop", payload, fact, CLOCK))


@EVERY_EVENT
def test_the_auditor_comes_to_the_example(kind: EventType) -> None:
    """It is told apart by the auditor's own reading of the same declaration."""
    payload, before, after = the_case(kind)
    assert rules.valid(kind.cause.name, payload)
    meant = rules.execute(kind.cause.name, payload, "shop", "c", CLOCK, before)
    assert (meant.event, meant.amount, meant.charge) == (kind.name, kind.example.amount, after)


@EVERY_EVENT
def test_ledger_and_auditor_book_the_example(kind: EventType) -> None:
    """Both move the same accounts, the entry is balanced, and the balances change as worked out."""
    _, _, after = the_case(kind)
    amount = kind.example.amount
    lines = ledger.postings(kind.name, amount, after["amount"])
    event: Any = SimpleNamespace(type=kind.name, amount=amount, charge=after, currency="usd")
    assert ledger.is_balanced(lines)
    assert ledger.effect(lines) == ledger.Balance(**kind.example.balance)
    assert books.effect(event) == books.Balance(**kind.example.balance)
    assert books.postings(event) == [(line.account, "usd", line.amount) for line in lines]


@EVERY_EVENT
def test_the_example_obeys_its_schemas(kind: EventType) -> None:
    """The payload is one that a customer may send, the record is one that may stand on the log."""
    payload, _, _ = the_case(kind)
    validate_payload(kind.cause.name, payload)
    ChargeEvent.model_validate(example_record(kind))


@EVERY_EVENT
def test_a_status_says_why_what_it_does_not_allow_is_refused(kind: EventType) -> None:
    """An event that makes a status names a code for it; one that begins a charge makes one."""
    assert kind.status in MADE_BY or not kind.cause.begins
    assert kind.status is None or CODES[MADE_BY[kind.status].refusal].status == 409


@EVERY_OPERATION
def test_every_operation_has_an_end(operation: Operation) -> None:
    """Whatever the payload, one of its events fits; names that stand elsewhere are names of something."""
    caused = [kind for kind in CHARGE_EVENTS if kind.cause is operation]
    assert [bool(kind.where) for kind in caused] == [True] * (len(caused) - 1) + [False]
    assert set(operation.allowed_in) | set(operation.refusals) <= MADE_BY.keys()
    assert {CODES[code].status for code in operation.refusals.values()} <= {409}
    assert operation.limit is None or operation.limit.beyond is None or CODES[operation.limit.beyond].status == 409
    assert operation.begins == (operation.limit is None)
    assert all(kind.answers is not Answers.DECLINE or operation.begins for kind in caused)


@pytest.mark.parametrize(
    ("operation", "status"),
    [(operation, status) for operation, status in product(OPERATIONS, MADE_BY) if not operation.begins],
    ids=lambda part: getattr(part, "name", part),
)
def test_processor_and_auditor_allow_the_same(operation: Operation, status: str) -> None:
    """In every status, each operation is possible for both or refused by both."""
    payload, _, after = the_case(CHARGE_EVENTS[0])
    charge = {**after, "status": status, "amount": 500, "amount_captured": 300, "amount_refunded": 100}
    payload = {"charge_id": charge["id"]}
    fact = decide(charge, operation.name, payload)
    meant = rules.execute(operation.name, payload, "shop", "c", CLOCK, charge)
    if isinstance(fact, str):
        assert (meant.status, meant.event) == (CODES[fact].status, None)
    else:
        assert (meant.event, meant.amount, meant.charge) == (fact.kind.name, fact.amount, evolve(charge, fact))
