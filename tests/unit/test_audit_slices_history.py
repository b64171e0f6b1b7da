"""A log and its history in slices: the report is that of both at once, whatever customers did and heard."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import audit_stream
from simulator.audit import registry
from simulator.audit.clients import fold
from simulator.audit.collecting import Collector
from simulator.audit.evidence import Evidence
from simulator.audit.log import Bounds, Extent, Fate
from simulator.audit.report import Report
from simulator.audit.rules import partition_of
from simulator.audit.verdict import judge
from simulator.blocks import Blocks
from simulator.history import HistoryWriter, read_history
from simulator.history_shelf import HistoryShelf, intents_of
from tests.support.written_log import SHOP, Asked, OnTheLog, WrittenLog, canonical


def in_slices(log: WrittenLog) -> Report:
    read = OnTheLog(log)
    assert log.history is not None
    with HistoryShelf(log.history, 0) as shelf, Blocks(1) as intents:
        shelf.deal(intents)
        evidence = Evidence("payments", log.guarantee, read.extent, shelf.outline)
        evidence.key_ttl_ms = log.ttl_ms
        report, _ = asyncio.run(audit_stream.audit_in_slices(read, evidence, None, lambda _: None, intents))
    return report


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_stream, "SLICE_COMMANDS", 2)


class Story:
    """Customers who pay, come back, change their mind, share keys or have none, before a system that errs."""

    def __init__(self, guarantee: str, seed: int) -> None:
        self.rng = Random(seed)
        self.log = WrittenLog(guarantee, ttl_ms=5_000)
        self.paid: list[tuple[str, Asked]] = []
        self.answers: list[dict[str, Any]] = [{"status": 201, "body": "no JSON"}, {"status": 409, "body": "{}"}]
        self.attempts: dict[str, int] = {}
        for number in range(self.rng.randint(1, 12)):
            self.log.now += self.rng.choice((0, 0, 100, 1_500, 6_000))
            self.purchase(number)
        if self.rng.random() < 0.3:
            self.log.executed(self.log.command("of somebody else"))
        if self.rng.random() < 0.3:
            made = self.rng.choice(self.paid)[1].charge_id
            self.log.fault("deliver_twice", "hit", manner="copy", made=made)
        if self.rng.random() < 0.3:
            end = len(self.log.entries["commands"])
            self.log.fault("rewind_offsets", "hit", **{"partition": 0, "from": end, "to": 0, "moved_at": 0})
        if self.rng.random() < 0.2 and self.log.history is not None:
            self.log.history[0]["started_at"] = self.log.now
        self.log.in_flight = self.rng.choice((0, 0, 0, 1))

    def purchase(self, number: int) -> None:
        rng, log = self.rng, self.log
        again = bool(self.paid) and rng.random() < 0.5
        intent, before = rng.choice(self.paid) if again else (f"i{number}", None)
        amount = rng.choice((500, 500, 700))
        key = rng.choice((f"k{number}", None, "shared", before.key if before else "k"))
        if intent not in self.attempts:
            log.meant(intent, amount=amount)
        metadata = rng.choice(({}, {"metadata": {"intent": intent}}))
        if again and before is not None and rng.random() < 0.4:
            asked = log.command(key, "refund.create", charge_id=before.charge_id, amount=100)
        else:
            deadline_in = 80_000 if rng.random() < 0.9 else -5
            asked = log.command(key, deadline_in=deadline_in, amount=amount, **metadata)
        attempt = self.attempts[intent] = self.attempts.get(intent, 0) + 1
        log.sent(intent, asked, attempt)
        self.paid.append((intent, asked))
        self.happens(intent, asked, attempt)

    def happens(self, intent: str, asked: Asked, attempt: int) -> None:
        rng, log = self.rng, self.log
        ways = ("event key reply", "event key reply", "event key reply", "event reply", "reply", "")
        way = rng.choice((*ways, "twice", "dead", "aborted"))
        if way == "dead":
            log.dead(asked, "invalid_payload")
        elif way == "aborted":
            status, body, _ = log._outcome(asked)
            log.reply(asked, status, canonical(body), fate=Fate.ABORTED)
            self.answers.append({"status": status, "body": canonical(body)})
            if rng.random() < 0.7:
                log.heard(intent, self.answers[-1], attempt)
                log.now += rng.choice((10, 1_200, 3_000))
                log.reply(asked, status, canonical(body))
            return
        elif way:
            self.answers.append(log.executed(asked, only=way.replace("twice", "event key reply")))
            if way == "twice":
                log.executed(asked, only="event reply")
        early_ms = rng.choice((0, 0, 0, 1_500))
        log.now -= early_ms
        heard = rng.choice(("right", "right", "any", "unknown", "504", "nothing"))
        if heard in ("right", "any"):
            log.heard(intent, self.answers[-1] if heard == "right" else rng.choice(self.answers), attempt)
        elif heard != "nothing":
            log.unknown(intent, attempt, reason=heard)
        log.now += early_ms


@settings(max_examples=150, deadline=None)  # a busy machine takes its time
@given(st.sampled_from(("exactly-once", "deduplicated", "at-least-once")), st.integers(0, 10**9))
def test_a_log_and_its_history_in_slices_have_the_report_of_both_at_once(guarantee: str, seed: int) -> None:
    """Verdict, counts, money, causes, certainty, key window, and the size of every witness."""
    at_once = Story(guarantee, seed).log.audit()
    assert _plain(in_slices(Story(guarantee, seed).log)) == _plain(at_once)


def _plain(report: Report) -> Report:
    """Which of several equally small witnesses is told is nobody's promise, nor in which order intents are listed."""
    anomalies = tuple(
        replace(anomaly, witnesses=tuple(sorted(len(witness.places) for witness in anomaly.witnesses)))  # type: ignore[misc]
        for anomaly in report.anomalies
    )
    listed = tuple(sorted(report.comparison.disagreeing, key=lambda intent: intent.intent))
    return replace(report, anomalies=anomalies, comparison=replace(report.comparison, disagreeing=listed))


def test_the_stories_find_something_of_everything() -> None:
    """The comparison above would be worth little if its customers were harmless."""
    reports = [
        Story(guarantee, seed).log.audit() for guarantee in ("exactly-once", "at-least-once") for seed in range(150)
    ]
    seen = {(anomaly.name, anomaly.cause) for report in reports for anomaly in report.anomalies}
    time_and_money = {"stuck", "over_capture"}
    assert {name for name, _ in seen} == registry.CHECKS.keys() - time_and_money
    assert {"client_retry", "new_key", "network_duplicate", "rewind"} <= {cause for _, cause in seen}
    assert any(report.comparison.certainty.intents_settled > 1 for report in reports)


def test_clocks_are_told_apart_by_the_whole_log() -> None:
    """One slice has an answer heard before its twin was committed, another one shows that the clock is behind."""

    def log(behind_ms: int) -> WrittenLog:
        log = WrittenLog("at-least-once")
        for number in range(4):
            log.meant(f"i{number}")
            asked = log.command(f"k{number}")
            log.sent(f"i{number}", asked)
            log.now += 10_000
            if number == 2:
                status, body, event = log._outcome(asked)
                answer = {"status": status, "body": canonical(body)}
                log.reply(asked, status, canonical(body), fate=Fate.ABORTED)
                log.heard("i2", answer)
                log.now += 3_000
                log.reply(asked, status, canonical(body))
                log.event(asked, **(event or {}))
            else:
                answer = log.executed(asked, only="event reply")
                log.now -= behind_ms
                log.heard(f"i{number}", answer)
                log.now += behind_ms
        return log

    assert in_slices(log(0)).found("aborted_read") == log(0).audit().found("aborted_read") == 1
    assert in_slices(log(4_000)).found("aborted_read") == log(4_000).audit().found("aborted_read") == 0


def lines(count: int) -> Iterator[dict[str, Any]]:
    yield {"kind": "run", "at": 1, "started_at": 1, "faults": ["lose_request"]}
    for number in range(count):
        payload = {"amount": number, "currency": "eur"}
        asks = {"merchant_id": f"{SHOP}{number % 7}", "operation": "charge.create", "payload": payload}
        yield {"kind": "intent", "intent": f"i{number}", "at": number, **asks, "persona": "tester"}
        yield {"kind": "invoke", "intent": f"i{number}", "at": number, "attempt": 1, **asks, "idempotency_key": None}
    for number in range(count):
        yield {"kind": "resend", "intent": f"i{number}", "at": count, "attempt": 1, "gateway": "g"}
        yield {"kind": "ok", "intent": f"i{number}", "at": count + 1, "attempt": 1, "status": 201, "body": "{}"}
    yield {"kind": "fault", "fault": "lose_request", "phase": "begin", "at": count + 2, "detail": {"number": 1}}


def test_a_shelved_history_is_the_folded_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By way of the disk, in many buckets, in the same order; and every intent is in its merchant's partition once."""
    monkeypatch.setattr("simulator.blocks.BUFFER_BYTES", 2_000)
    monkeypatch.setattr("simulator.history_shelf.BUCKET_BYTES", 5_000)
    path = tmp_path / "history.jsonl"
    with HistoryWriter(path) as history:
        for line in lines(100):
            history.write(line)
    folded = fold(read_history(path))
    with HistoryShelf(read_history(path), path.stat().st_size) as shelf, Blocks(5) as blocks:
        assert shelf.whole() == folded
        assert list(shelf.whole().intents) == list(folded.intents)
        assert (shelf.outline.intents, shelf.outline.run) == ({}, folded.run)
        shelf.deal(blocks)
        dealt = [{intent.name: intent for _, intent in intents_of(blocks, partition)} for partition in range(5)]
        assert {name: intent for intents in dealt for name, intent in intents.items()} == folded.intents
        assert sum(map(len, dealt)) == 100
        merchants = [{intent.merchant_id for intent in intents.values()} for intents in dealt]
        assert sum(map(len, merchants)) == 7


def test_a_partition_that_has_not_settled_keeps_no_other_from_being_judged() -> None:
    """What is missing for a customer is missing in his own partition; a command in flight elsewhere is no excuse."""
    log = WrittenLog()
    log.meant("i1")
    asked = log.command("k1", metadata={"intent": "i1"})
    log.sent("i1", asked)
    log.dead(asked, "invalid_payload")
    log.heard("i1", {"status": 201, "body": canonical({"id": asked.charge_id, "amount": 500, "currency": "eur"})})
    whole = log.evidence()
    partitions = next(count for count in range(2, 20) if partition_of(SHOP.encode(), count) == 0)
    bounds = {**whole.extent.bounds, ("commands", 1): Bounds(0, 1, 1)}
    evidence = Evidence("payments", "exactly-once", Extent(partitions, bounds), whole.clients)
    collector = Collector(evidence)
    for topic, entries in log.entries.items():
        collector.take(topic, entries)
    evidence.last_command[1] = 0
    report = judge(collector.finish())
    assert any("partition 1: commands are in flight" in reason for reason in report.unknown)
    assert report.found("lost_charge") == 1
