"""At a glance and in detail: what is acquitted is what the checks find nothing about, whatever else is on the log."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import audit_stream
from simulator.audit import acquittal, matching, recent
from simulator.audit.acquittal import Acquittal
from simulator.audit.evidence import Evidence
from simulator.audit.log import CHARGES, COMMANDS, DEAD_LETTERS, KEYS, REPLIES, Entry, Fate
from simulator.audit.matching import Matching
from simulator.audit.report import Report
from simulator.audit_glance import glance
from tests.support.written_log import Asked, OnTheLog, WrittenLog, canonical, derived

# CONTRACT, "The log": the members of each record, in the order in which a processor writes them.
ORDER = {
    CHARGES: (
        "event_id type charge_id merchant_id amount currency sequence occurred_at command_id idempotency_key data"
    ).split(),
    KEYS: (
        "merchant_id idempotency_key operation fingerprint status body charge_id event_id command_id offset "
        "completed_at expires_at"
    ).split(),
    REPLIES: "command_id merchant_id idempotency_key status replayed body".split(),
}


def a_right_log(rng: Random, purchases: int) -> WrittenLog:
    """Purchases, holds, declines, retries and follow-ups, answered as they must be and written as a processor does."""
    log = WrittenLog(ttl_ms=50_000)
    asked: list[tuple[Asked, dict[str, Any]]] = []
    for number in range(purchases):
        log.now += rng.choice((0, 0, 100, 2_000, 20_000))
        kind = rng.choice(("new", "new", "new", "retry", "refund", "capture", "void"))
        if kind == "new" or not asked:
            card = rng.choice(("pm_card_visa",) * 5 + ("pm_card_expired",))
            what: dict[str, Any] = rng.choice(({}, {"description": "Größe"}, {"metadata": {"b": "1", "a": "2"}}))
            key = rng.choice((f"k{number}", f"k{number}", None))
            one = log.command(key, capture=rng.choice((True, True, False)), payment_method=card, **what)
            asked.append((one, log.executed(one)))
        elif kind == "retry":
            first, answer = rng.choice(asked)
            if first.key is not None and log.now < first.clock + log.ttl_ms - 1_000:
                again = log.command(first.key, first.operation, **first.payload)
                log.reply(again, answer["status"], answer["body"], replayed=True)
        else:
            _followed(log, rng, kind, [one for one, _ in asked], number)
    _as_a_processor_writes(log)
    return log


def _followed(log: WrittenLog, rng: Random, kind: str, asked: list[Asked], number: int) -> None:
    operation = {"refund": "refund.create", "capture": "charge.capture", "void": "charge.void"}[kind]
    status = {"refund": ("succeeded", "captured", "partially_refunded")}.get(kind, ("authorized",))
    able = [one for one in asked if log.charges.get(one.charge_id, {}).get("status") in status]
    if able:
        amount = {} if kind == "void" else {"amount": 100}
        log.executed(log.command(f"f{number}", operation, charge_id=rng.choice(able).charge_id, **amount))


def _as_a_processor_writes(log: WrittenLog) -> None:
    """The members of `json.dumps` in the order of the contract, without white space; a charge in canonical form."""
    for topic, order in ORDER.items():
        for at, entry in enumerate(log.entries[topic]):
            value = json.loads(entry.value or b"null")
            if isinstance(value, dict) and set(order) == value.keys():
                value = {name: value[name] for name in order}
                if topic == KEYS:
                    value["event_id"] = value["event_id"] and derived("evt", value["command_id"])
                if topic == CHARGES:
                    charge = orjson.Fragment(canonical(value["data"]["charge"]))
                    value["data"] = {**value["data"], "charge": charge}
                log.entries[topic][at] = entry._replace(value=orjson.dumps(value))


def corrupt(log: WrittenLog, rng: Random) -> None:
    """One thing about one record is not as it was; or a record is there too often, too late, or not at all."""
    topic = rng.choice((COMMANDS, KEYS, CHARGES, REPLIES, DEAD_LETTERS))
    entries = log.entries[topic]
    if topic == DEAD_LETTERS:
        log.dead(Asked("", "", None, {}, rng.randrange(len(log.entries[COMMANDS])), 0), "invalid_payload")
        return
    if not entries:
        return
    at = rng.randrange(len(entries))
    entry, way = entries[at], rng.choice(("lost", "twice", "later", "aborted", "nothing", "nonsense", *["changed"] * 6))
    if way in ("lost", "later"):
        del entries[at]
    if way in ("twice", "later"):
        log.append(topic, None, entry.value)
        entries[-1] = entries[-1]._replace(key=entry.key)
    if way == "aborted":
        entries[at] = entry._replace(fate=Fate.ABORTED, producer=(7, 0))
    if way == "nothing":
        entries[at] = entry._replace(value=None)
    if way == "nonsense":
        entries[at] = entry._replace(value=rng.choice((b"{]", b"[]", b"", b"{}", b'{"merchant_id":"shop"}')))
    if way == "changed":
        entries[at] = entry._replace(value=_changed(entry, rng))


def _changed(entry: Entry, rng: Random) -> bytes | None:
    try:
        value = orjson.loads(entry.value or b"null")
    except orjson.JSONDecodeError:
        return entry.value  # it is nonsense already
    if not isinstance(value, dict) or not value:
        return entry.value
    name = rng.choice(list(value))
    old = value[name]
    if isinstance(old, bool):
        value[name] = not old
    elif isinstance(old, int):
        value[name] = rng.choice((old + 1, old - 1, old + 100_000, 0))
    elif isinstance(old, str):
        value[name] = rng.choice((old[:-1], old + "x", "k1", old.replace("5", "6")))
    elif isinstance(old, dict) and old:
        inner = rng.choice(list(old))
        value[name] = {**old, inner: rng.choice((7, "x", None, {}))}
    else:
        value[name] = rng.choice(("k1", 7))
    return orjson.dumps(value)


def a_story(seed: int) -> WrittenLog:
    rng = Random(seed)
    log = a_right_log(rng, rng.randint(1, 20))
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        corrupt(log, rng)
    log.in_flight = rng.choice((0, 0, 0, 1))
    return log


def in_slices(log: WrittenLog) -> Report:
    read = OnTheLog(log)
    evidence = Evidence("payments", log.guarantee, read.extent)
    return asyncio.run(audit_stream.audit_in_slices(read, evidence, None, lambda _: None))[0]


def at_a_glance(log: WrittenLog) -> Acquittal | None:
    read = OnTheLog(log)
    return asyncio.run(glance(read, Evidence("payments", "exactly-once", read.extent), 0, lambda *_: None))


def _plain(report: Report) -> Report:
    """Which of several equally small witnesses is told is nobody's promise, nor in which order intents are listed."""
    anomalies = tuple(
        replace(anomaly, witnesses=tuple(sorted(len(witness.places) for witness in anomaly.witnesses)))
        for anomaly in report.anomalies
    )
    listed = tuple(sorted(report.comparison.disagreeing, key=lambda intent: intent.intent))
    return replace(report, anomalies=anomalies, comparison=replace(report.comparison, disagreeing=listed))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from((2, 16_384)))
def test_a_glance_changes_no_report(seed: int, remembered: int) -> None:
    """Verdict, counts, money and every case are those of the log in detail, however little is remembered."""
    in_detail = a_story(seed).audit()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recent, "RECENT", remembered)
        patch.setattr(matching, "LIMIT", remembered)
        assert _plain(in_slices(a_story(seed))) == _plain(in_detail)


def test_a_right_log_is_acquitted() -> None:
    """Creations, holds, retries, captures, voids and refunds; of a decline the wording is not known."""
    for seed in range(30):
        log = a_right_log(Random(seed), 12)
        found = at_a_glance(log)
        assert found is not None
        declined = sum(json.loads(entry.value or b"")["type"] == "charge.declined" for entry in log.entries[CHARGES])
        assert found.has_suspects == bool(declined)


def test_the_stories_are_acquitted_in_part() -> None:
    """The comparison above would be worth little if nothing were acquitted, or nothing suspected, or both at once."""
    acquitted = suspected = mixed = convicted = 0
    for seed in range(300):
        found = at_a_glance(a_story(seed))
        if found is not None:
            some = found.part().counts.commands > 0
            acquitted += not found.has_suspects
            suspected += found.has_suspects
            mixed += found.has_suspects and some
            convicted += a_story(seed).audit().verdict == "invalid"
    assert min(acquitted, suspected, mixed, convicted) > 20


def test_compaction_between_two_looks_confuses_nothing() -> None:
    """Records are passed over by their offset, not by their number."""
    log = WrittenLog()
    for number, card in enumerate(("pm_card_visa", "pm_card_visa", "pm_card_expired", "pm_card_visa")):
        log.executed(log.command(f"k{number}", payment_method=card))
    _as_a_processor_writes(log)
    looked = at_a_glance(log)
    assert looked is not None
    del log.entries[KEYS][1]
    read, walk = OnTheLog(log), looked.walk(KEYS)

    async def rest() -> list[Entry]:
        return [entry async for batches in read.batches(KEYS, 0) for batch in batches for entry in walk.rest(batch)]

    found = [entry.key for entry in asyncio.run(rest())]
    assert [key for key in found if key != b"@position"] == [b"shop/k2"]


def test_a_log_full_of_suspects_is_not_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that writes its members in another order is as right, and only the long way tells."""
    monkeypatch.setattr(acquittal, "SUSPECTS_SURE", 3)
    monkeypatch.setattr(matching, "LIMIT", 3)
    log = WrittenLog()
    for number in range(20):
        log.executed(log.command(f"k{number}"))
    assert at_a_glance(log) is None
    assert in_slices(log).verdict == "valid"


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 20), unique=True), st.lists(st.integers(0, 20)), st.integers(1, 5), st.integers(0, 10**9)
)
def test_what_is_due_and_what_is_found_are_struck_off(due: list[int], found: list[int], chunk: int, seed: int) -> None:
    """However the two come in: what is left on both sides is all but a sequence that both have in common."""
    rng, match = Random(seed), Matching()
    owed, there = list(due), list(found)
    while owed or there:
        if owed and (not there or rng.random() < 0.5):
            one = owed.pop(0)
            match.due(b"k", b"%d" % one, one)
        elif there:
            some, there = there[:chunk], there[chunk:]
            match.found([b"k"] * len(some), [b"%d" % one for one in some])
    match.finish()
    struck = [one for one in due if one not in match.late]
    strays = Counter(int(value or b"") for _, value in match.strays)
    assert Counter(found) - strays == Counter(struck)
    rest = iter(found)
    assert all(one in rest for one in struck), "in the order in which they were found"


def test_one_record_that_is_not_there_costs_nobody_else() -> None:
    """Nor does one too many, wherever the pieces begin in which the records come."""
    match = Matching()
    for number in range(99):
        match.due(b"k", b"%d" % number, number)
        if number % 7 == 6:
            there = [one for one in range(number - 6, number + 1) if one != 30]
            match.found([b"k"] * len(there), [b"%d" % one for one in there])
        if number == 50:
            match.found([b"x"], [b"x"])
    match.finish()
    assert match.late == [30, 98]
    assert match.strays == [(b"x", b"x")]
