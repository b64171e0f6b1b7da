"""A log in slices: what hangs together is never cut, and the report is that of the log at once."""

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import audit_stream
from simulator.audit import registry
from simulator.audit.books import Balance, Booked, Books, fold, postings
from simulator.audit.evidence import Evidence
from simulator.audit.log import TOPICS, Bounds, Entry, Extent, Fate
from simulator.audit.report import Report
from simulator.audit.slices import Slices
from simulator.audit.verdict import judge
from simulator.audit_workers import WORKERS_MAX, shares, workers_for
from simulator.ledger_reader import LedgerReadError
from simulator.spill import Spill
from tests.support.written_log import SHOP, Asked, OnTheLog, WrittenLog, canonical


def in_slices(log: WrittenLog, books: Any = None) -> tuple[Report, str | None]:
    read = OnTheLog(log)
    evidence = Evidence("payments", log.guarantee, read.extent)
    evidence.key_ttl_ms = log.ttl_ms
    return asyncio.run(audit_stream.audit_in_slices(read, evidence, books, lambda _: None))


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_stream, "SLICE_COMMANDS", 2)


def a_story(guarantee: str, seed: int) -> WrittenLog:
    """Purchases, retries and follow-ups, most of them right, some of them wrong in every way there is."""
    rng = Random(seed)
    log = WrittenLog(guarantee, ttl_ms=5_000)
    charges: list[Asked] = []
    for number in range(rng.randint(1, 14)):
        log.now += rng.choice((0, 0, 100, 6_000))
        kind = rng.choice(("new", "new", "new", "retry", "conflict", "copy", "refund", "capture", "void"))
        if kind == "new" or not charges:
            card = rng.choice(("pm_card_visa", "pm_card_visa", "pm_card_expired"))
            asked = log.command(
                rng.choice((f"k{number}", None)), capture=rng.choice((True, False)), payment_method=card
            )
            charges.append(asked)
        elif kind == "retry":
            asked = log.command(rng.choice(charges).key, amount=500)
        elif kind == "conflict":
            asked = log.command(rng.choice(charges).key, amount=700)
        elif kind == "copy":
            asked = log.again(rng.choice(charges))
        else:
            operation = {"refund": "refund.create", "capture": "charge.capture", "void": "charge.void"}[kind]
            amount = {"amount": rng.choice((100, 500, 900))} if kind != "void" else {}
            charge = rng.choice(charges)
            asked = log.command(f"k{number}", operation, charge_id=charge.charge_id, **amount)
        _what_happened(log, rng, asked)
    log.in_flight = rng.choice((0, 0, 0, 1))
    return log


def _what_happened(log: WrittenLog, rng: Random, asked: Asked) -> None:
    ways = ("event key reply", "event key reply", "event key reply", "event reply", "reply", "key reply", "")
    happened = rng.choice((*ways, "refused", "dead", "aborted", "twice", "nonsense"))
    if happened == "refused":
        log.refused(asked, 422, "idempotency_key_reused")
    elif happened == "dead":
        log.dead(asked, "invalid_payload")
    elif happened == "nonsense":
        log.append("charges", "x", b"{]")
        log.append("commands", "x", b"{]")
        stranger = WrittenLog().command("x", command_id="99999999-0000-7000-8000-000000000000")
        log.event(stranger, type="charge.voided", amount=1, currency="eur", sequence=9, data={"charge": {}})
    elif happened == "aborted":
        log.event(asked, fate=Fate.ABORTED)
        log.reply(asked, 201, canonical({"id": asked.charge_id}), fate=Fate.ABORTED)
    else:
        log.executed(asked, only=happened.replace("twice", "event key reply"))
        if happened == "twice":
            log.executed(asked, only="event reply")


@settings(max_examples=100, deadline=None)  # a busy machine takes its time
@given(st.sampled_from(("exactly-once", "deduplicated", "at-least-once")), st.integers(0, 10**9))
def test_a_log_in_slices_has_the_report_of_the_log_at_once(guarantee: str, seed: int) -> None:
    """Verdict, counts, money, every case and every witness, whatever went wrong in the story."""
    at_once = a_story(guarantee, seed).audit()
    log = a_story(guarantee, seed)
    sliced, trouble = in_slices(log)
    assert trouble is None
    assert _plain(sliced) == _plain(at_once)


def _plain(report: Report) -> Report:
    """Which of several equally small witnesses is told is nobody's promise, nor in which order intents are listed."""
    anomalies = tuple(
        replace(anomaly, witnesses=tuple(sorted(len(witness.places) for witness in anomaly.witnesses)))
        for anomaly in report.anomalies
    )
    listed = tuple(sorted(report.comparison.disagreeing, key=lambda intent: intent.intent))
    return replace(report, anomalies=anomalies, comparison=replace(report.comparison, disagreeing=listed))


def test_the_stories_find_something_of_everything() -> None:
    """The comparison above would be worth little if its stories were harmless."""
    seen = {
        anomaly.name
        for guarantee in ("exactly-once", "at-least-once")
        for seed in range(150)
        for anomaly in a_story(guarantee, seed).audit().anomalies
    }
    customers_and_time = {"aborted_read", "stuck"}
    assert seen == registry.CHECKS.keys() - customers_and_time


def test_a_partition_that_stands_still_is_found_once() -> None:
    """It is a matter of the whole partition, however many slices there are."""
    log = WrittenLog()
    log.executed(log.command("k0"))
    log.moved_at = log.now
    for number in range(1, 9):
        log.command(f"k{number}")
    log.now += 100_000
    log.command("k9")
    log.in_flight = 9
    report, _ = in_slices(log)
    assert report.found("stuck") == 1
    assert report.anomalies[0].money == {"eur": 9 * 500}


class Shelf:
    """Books that are handed out in parts."""

    def __init__(self, log: WrittenLog) -> None:
        evidence = log.evidence()
        self.positions = {0: len(log.entries["charges"])}
        self.balances: dict[tuple[str, str], Balance] = fold(evidence.events)
        self.all = Books(positions=self.positions, balances=self.balances)
        for event in evidence.events:
            place = 0, event.offset
            self.all.entries[place] = Booked(event.type, event.merchant_id, event.currency, event.amount)
            self.all.postings[place] = postings(event)

    def part(self, partition: int, begin: int, end: int) -> Books:
        within = {place for place in self.all.entries if place[0] == partition and begin <= place[1] < end}
        return Books(
            positions=self.positions,
            balances=self.balances,
            entries={place: self.all.entries[place] for place in within},
            postings={place: self.all.postings[place] for place in within if place in self.all.postings},
            is_part=True,
        )


def booked() -> tuple[WrittenLog, Shelf]:
    log = WrittenLog("at-least-once")
    for number in range(8):
        log.executed(log.command(f"k{number}"), only="event reply")
    return log, Shelf(log)


def test_right_books_beside_slices_are_valid() -> None:
    """The journal is read beside the events it books, and the balances are added up over all of them."""
    log, shelf = booked()
    report, trouble = in_slices(log, shelf)
    assert (report.verdict, report.with_ledger, trouble) == ("valid", True, None)
    assert set(report.checks) == {*registry.CHECKS, *registry.LEDGER_CHECKS}


def test_wrong_books_beside_slices_are_what_they_are_at_once() -> None:
    """A balance, an entry that is missing, one that is lopsided, and one that books nothing."""
    log, shelf = booked()
    shelf.balances[SHOP, "eur"] = Balance(0, 1, 0, 1)
    del shelf.all.entries[0, 3]
    shelf.all.postings[0, 5] = [("captures", "eur", 7)]
    shelf.all.entries[0, 99] = Booked("charge.succeeded", SHOP, "eur", 77)
    sliced, _ = in_slices(log, shelf)
    at_once = judge(booked()[0].evidence(), replace(shelf.all))
    assert _plain(sliced) == _plain(at_once)
    assert (sliced.found("ledger_drift"), sliced.found("ledger_imbalance")) == (3, 1)


def test_a_ledger_that_breaks_off_is_told_and_the_log_is_judged() -> None:
    """Its checks have not run; the others have."""
    log, shelf = booked()

    def part(partition: int, begin: int, end: int) -> Books:
        raise LedgerReadError("The ledger's database cannot be read: gone.")

    shelf.part = part  # type: ignore[method-assign]
    report, trouble = in_slices(log, shelf)
    assert trouble == "The ledger's database cannot be read: gone."
    assert not report.with_ledger
    assert "ledger_drift" not in report.checks


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12), st.integers(1, 4))
def test_partitions_are_shared_out_evenly(sizes: list[int], workers: int) -> None:
    """Each of them once; nobody has more than the others by more than one partition."""
    bounds = {("commands", partition): Bounds(5, 5 + size, 5 + size) for partition, size in enumerate(sizes)}
    dealt = shares(Evidence("payments", "exactly-once", Extent(len(sizes), bounds)), workers)
    assert sorted(partition for share in dealt for partition in share) == list(range(len(sizes)))
    loads = [sum(sizes[partition] for partition in share) for share in dealt]
    assert max(loads) - min(loads) <= max(sizes)


def test_short_logs_are_not_shared_out() -> None:
    """Starting a process costs more than it would save; and there are never more than partitions."""

    def workers(records: int, partitions: int) -> int:
        bounds = {("commands", partition): Bounds(0, records, records) for partition in range(partitions)}
        return workers_for(Evidence("payments", "exactly-once", Extent(partitions, bounds)))

    assert workers(1_000, 8) == 1
    assert workers(10**7, 1) == 1
    assert 1 <= workers(10**7, 64) <= WORKERS_MAX


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(-9, 9), min_size=1, max_size=3), max_size=30),
    st.integers(1, 5),
)
def test_what_hangs_together_is_in_one_slice(commands: list[list[int]], size: int) -> None:
    """Also by way of others; and no slice is larger than asked for, unless one thing alone is."""
    slices = Slices(size)
    for number, nodes in enumerate(commands):
        slices.add(number * 10, nodes)
    slices.cut()
    groups: list[tuple[set[int], set[int]]] = []
    for number, nodes in enumerate(commands):
        joined = {number}, set(nodes)
        for group in [group for group in groups if group[1] & joined[1]]:
            groups.remove(group)
            joined = joined[0] | group[0], joined[1] | group[1]
        groups.append(joined)
    filled: dict[int, list[int]] = {}
    for numbers, nodes in groups:
        (slice_,) = {slices.of_command(number * 10) for number in numbers}
        assert slice_ is not None
        assert {slices.of_node(node) for node in nodes} == {slice_}
        filled.setdefault(slice_, []).append(len(numbers))
    assert all(sum(sizes) <= size or len(sizes) == 1 for sizes in filled.values())
    assert slices.count == max(1, len(filled))
    assert (slices.of_command(5), slices.of_node(77)) == (None, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(TOPICS), st.binary(max_size=40)), max_size=30))
def test_what_is_spilled_comes_back_in_order(records: list[tuple[int, str, bytes]]) -> None:
    """Whether it went to the disk or not, with everything the checks look at."""
    entries = [
        (slice_, topic, Entry(3, offset, 7, b"k", value, (("h", b"v"),), Fate.ABORTED, (4, 5), 9))
        for offset, (slice_, topic, value) in enumerate(records)
    ]
    with pytest.MonkeyPatch.context() as patch, Spill(3, 3) as spill:
        patch.setattr("simulator.blocks.BUFFER_BYTES", 300)
        for slice_, topic, entry in entries:
            spill.put(slice_, topic, entry, 9, headers=True)
        for number in range(3):
            found = [(topic, entry) for topic, some in spill.take(number) for entry in some]
            assert found == [(topic, entry) for slice_, topic, entry in entries if slice_ == number]
