"""Auditor, processor and ledger read the same declarations; whoever reads them wrongly is convicted."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
import pytest

from events.charge_events.base import Answers
from events.guarantees import Guarantee
from services.kafka.port import TopicPartition
from services.ledger import batch as ledger
from services.ledger.domain import Posting
from services.processor.domain import payment, settling
from services.processor.domain.payment import Charge, Fact
from services.processor.domain.rules import Rules, Standing
from simulator.audit.books import Balance, Booked, Books
from simulator.audit.evidence import Evidence
from simulator.audit.report import Report
from simulator.audit_glance import glance
from simulator.audit_stream import audit_in_slices
from tests.support.written_log import SHOP, OnTheLog, WrittenLog, found


class Read(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def a_day() -> WrittenLog:
    """A bit of everything, done by the real processor: what is possible, and what must be refused."""
    log = WrittenLog()
    processor = Processor(log)
    sale = processor.does("k1")
    processor.does("k2", "refund.create", charge_id=sale, amount=100)
    processor.does("k3", "refund.create", charge_id=sale, amount=401)  # more than is left
    processor.does("k4", "refund.create", charge_id=sale)
    held = processor.does("k5", capture=False, amount=900)
    processor.does("k6", "refund.create", charge_id=held)  # nothing was captured
    processor.does("k7", "charge.capture", charge_id=held, amount=600)
    processor.does("k8", "charge.void", charge_id=held)  # too late
    let_go = processor.does("k9", capture=False)
    processor.does("k10", "charge.void", charge_id=let_go)
    processor.does("k11", payment_method="pm_card_expired")
    return log


class Processor:
    def __init__(self, log: WrittenLog) -> None:
        self._log = log
        self._rules = Rules("payments", 0, 1, log.ttl_ms, Guarantee.EXACTLY_ONCE)
        self._standing = Standing(0, 0)
        self._store: dict[bytes, bytes | None] = {}

    def does(self, key: str, operation: str = "charge.create", **payload: Any) -> str:
        asked = self._log.command(key, operation, **payload)
        entry = self._log.entries["commands"][-1]
        incoming = settling.decode(self._rules, [Read(entry.offset, entry.timestamp, entry.key, entry.value)])
        known = {name: self._store.get(name) for name in settling.lookups(self._rules, incoming)}
        settled = settling.settle(self._rules, self._standing, incoming, known)
        self._standing = settled.standing
        self._store.update(settled.writes)
        for topic in ("keys", "charges", "replies"):
            for record in getattr(settled, topic):
                self._log.append(topic, record.key.decode(), record.value)
        return asked.charge_id


def as_a_long_log(log: WrittenLog) -> Report:
    """What is plainly right is acquitted at a glance, and the rest looked at in slices."""
    read = OnTheLog(log)
    evidence = Evidence("payments", log.guarantee, read.extent)
    return asyncio.run(audit_in_slices(read, evidence, None, lambda _: None))[0]


def booked(log: WrittenLog) -> Books:
    """What the real ledger makes of the charges."""
    batch = ledger.Batch(1)
    records = [Read(entry.offset, entry.timestamp, entry.key, entry.value) for entry in log.entries["charges"]]
    batch.add("charges", TopicPartition("payments.charges", 0), records)
    assert not batch.skipped
    books = Books(positions={0: len(records)})
    for row in batch.entries:
        books.entries[0, row["log_offset"]] = Booked(
            row["event_type"], row["merchant_id"], row["currency"], row["amount"]
        )
    for row in batch.postings:
        books.postings.setdefault((0, row["log_offset"]), []).append((row["account"], row["currency"], row["amount"]))
    books.balances = {owner: Balance(*balance) for owner, balance in batch.balances.items()}
    return books


def test_who_reads_them_rightly_is_valid() -> None:
    """Nothing is found in what the real processor and the real ledger did."""
    log = a_day()
    report = log.audit(booked(log))
    assert (report.verdict, found(report)) == ("valid", [])
    events = [orjson.loads(entry.value or b"")["type"] for entry in log.entries["charges"]]
    assert (len(events), len(set(events))) == (8, 6)
    assert booked(log).balances == {(SHOP, "eur"): Balance(0, 1100, 500, 600)}


def test_whatever_the_real_processor_executed_is_acquitted_at_a_glance() -> None:
    """The auditor knows its bytes, of every operation; so that a right log is not looked at in detail."""
    log = WrittenLog()
    processor = Processor(log)
    sale = processor.does("k1", description='Größe \\ "', metadata={"b": "1", "a": "2"})
    processor.does("k1", description='Größe \\ "', metadata={"b": "1", "a": "2"})
    processor.does("k2", "refund.create", charge_id=sale, amount=100)
    processor.does("k3", "refund.create", charge_id=sale)
    held = processor.does('"k\\4"', capture=False, amount=900)
    processor.does("k5", "charge.capture", charge_id=held, amount=600)
    processor.does("k6", "charge.void", charge_id=processor.does("k7", capture=False))
    read = OnTheLog(log)
    looked = asyncio.run(glance(read, Evidence("payments", "exactly-once", read.extent), 0, lambda *_: None))
    assert looked is not None
    assert not looked.has_suspects
    assert as_a_long_log(log) == log.audit()


# -- processors that read the declarations wrongly -------------------------------------------------------------

Decide = Callable[[Charge | None, str, Mapping[str, Any]], Fact | str]
decide, evolve = payment.decide, payment.evolve


def forgets_to_add(charge: Charge, fact: Fact) -> Charge:
    return {**evolve(charge, fact), "amount_refunded": charge["amount_refunded"]}


def keeps_the_status(charge: Charge, fact: Fact) -> Charge:
    return {**evolve(charge, fact), "status": charge["status"] or fact.kind.status}


def sets_nothing(charge: Charge, fact: Fact) -> Charge:
    return {**evolve(charge, fact), "captured": charge["captured"]}


def allows_everything(charge: Charge | None, operation: str, payload: Mapping[str, Any]) -> Fact | str:
    if charge is None:
        return decide(charge, operation, payload)
    rule = payment._RULES[operation]
    return Fact(rule.events[-1], payload.get("amount") or charge["amount"])


def knows_no_limit(charge: Charge | None, operation: str, payload: Mapping[str, Any]) -> Fact | str:
    decided = decide(charge, operation, payload)
    return Fact(payment._RULES[operation].events[-1], payload["amount"]) if decided == "refund_too_large" else decided


def takes_one_more(charge: Charge | None, operation: str, payload: Mapping[str, Any]) -> Fact | str:
    decided = decide(charge, operation, payload)
    return decided if isinstance(decided, str) else decided._replace(amount=decided.amount + 1)


def declines_nobody(charge: Charge | None, operation: str, payload: Mapping[str, Any]) -> Fact | str:
    decided = decide(charge, operation, payload)
    if isinstance(decided, str) or decided.kind.answers is not Answers.DECLINE:
        return decided
    return Fact(payment._RULES[operation].events[-1], decided.amount)


def refuses_what_is_allowed(charge: Charge | None, operation: str, payload: Mapping[str, Any]) -> Fact | str:
    return decide(charge, operation, payload) if charge is None else "charge_already_captured"


@pytest.mark.parametrize("wrong", [forgets_to_add, keeps_the_status, sets_nothing])
def test_a_processor_that_changes_the_charge_wrongly_is_convicted(
    wrong: Callable[[Charge, Fact], Charge], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The charge in its answers and events is not the one that the auditor comes to."""
    monkeypatch.setattr(settling, "evolve", wrong)
    monkeypatch.setattr(payment, "evolve", wrong)
    assert a_day().audit().found("answer_mismatch")
    assert found(as_a_long_log(a_day())) == found(a_day().audit())


@pytest.mark.parametrize(
    "wrong",
    [allows_everything, knows_no_limit, takes_one_more, declines_nobody, refuses_what_is_allowed],
)
def test_a_processor_that_decides_wrongly_is_convicted(wrong: Decide, monkeypatch: pytest.MonkeyPatch) -> None:
    """It executes what must be refused, refuses what must be executed, or moves another amount."""
    monkeypatch.setattr(settling, "decide", wrong)
    assert a_day().audit().found("answer_mismatch")
    assert found(as_a_long_log(a_day())) == found(a_day().audit())


# -- ledgers that do -------------------------------------------------------------------------------------------

Lines = tuple[Posting, ...]
postings = ledger.postings


def swaps_sides(event_type: str, amount: int, authorized: int) -> Lines:
    return tuple(line._replace(amount=-line.amount) for line in postings(event_type, amount, authorized))


def releases_what_was_captured_only(event_type: str, amount: int, _: int) -> Lines:
    return postings(event_type, amount, amount)


def books_the_first_move_only(event_type: str, amount: int, authorized: int) -> Lines:
    return postings(event_type, amount, authorized)[:2]


def books_on_an_account_of_its_own(event_type: str, amount: int, authorized: int) -> Lines:
    lines = postings(event_type, amount, authorized)
    return tuple(line._replace(account="fees") if line.account == "customer_holds" else line for line in lines)


@pytest.mark.parametrize(
    "wrong",
    [swaps_sides, releases_what_was_captured_only, books_the_first_move_only, books_on_an_account_of_its_own],
)
def test_a_ledger_that_books_wrongly_is_convicted(
    wrong: Callable[[str, int, int], Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entries are balanced, and are not those of the events; even where no balance shows it."""
    log = a_day()
    monkeypatch.setattr(ledger, "postings", wrong)
    report = log.audit(booked(log))
    assert {anomaly.name for anomaly in report.anomalies} == {"ledger_drift"}
