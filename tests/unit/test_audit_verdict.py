"""How findings, reasons and crashes are put together into one verdict."""

from collections.abc import Iterator

import orjson
import pytest

from simulator.audit.evidence import Evidence
from simulator.audit.finding import Finding
from simulator.audit.registry import CHECKS
from simulator.audit.report import Report, Verdict
from simulator.audit.verdict import WITNESSES, judge
from tests.support.written_log import WrittenLog, found


def crashing(_: Evidence) -> Iterator[Finding]:
    raise ZeroDivisionError("on purpose")


def good_log() -> WrittenLog:
    log = WrittenLog()
    log.executed(log.command("k"))
    return log


def test_crashing_check_is_unknown_and_the_others_still_run() -> None:
    """A check that crashed is never a pass."""
    report = judge(good_log().evidence(), checks={"crashing": crashing, **CHECKS})
    assert report.verdict == Verdict.UNKNOWN
    assert report.unknown == ("the check crashing crashed: ZeroDivisionError: on purpose",)
    assert set(report.checks) == set(CHECKS)


def test_anomaly_beside_a_crash_is_invalid() -> None:
    """The worst wins: what was found is certain whatever else could not be judged."""
    log = WrittenLog()
    log.executed(log.command("k"), only="key reply")
    report = judge(log.evidence(), checks={"crashing": crashing, **CHECKS})
    assert report.verdict == Verdict.INVALID
    assert report.unknown


def test_planned_fault_that_never_hit_is_unknown() -> None:
    """A run whose fault never bit has not been tested."""
    log = WrittenLog()
    log.meant("i-1")
    log.fault("kill_processor", "begin")
    command = log.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log.heard("i-1", log.executed(command))
    log.fault("kill_processor", "end")
    report = log.audit()
    assert report.verdict == Verdict.UNKNOWN
    assert report.unknown == ("the fault kill_processor was planned and never hit anything",)


def test_planned_fault_that_hit_is_counted() -> None:
    """Hits are reported by fault."""
    log = WrittenLog()
    log.meant("i-1")
    command = log.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log.heard("i-1", log.executed(command))
    for phase in ("begin", "hit", "hit", "end"):
        log.fault("kill_processor", phase)
    report = log.audit()
    assert (report.verdict, report.fault_hits) == (Verdict.VALID, {"kill_processor": 2})


def test_empty_log_is_unknown() -> None:
    """Where nothing happened nothing was shown."""
    assert WrittenLog().audit().verdict == Verdict.UNKNOWN


@pytest.mark.parametrize("topic", ["charges", "replies", "keys", "dead-letters"])
def test_unreadable_record_of_the_system_is_unknown(topic: str) -> None:
    """A record that only the system writes and nobody can read is never a pass."""
    log = good_log()
    log.append(topic, "x", b"{]")
    report = log.audit()
    assert report.verdict == Verdict.UNKNOWN
    assert "cannot be read" in report.unknown[0]


def test_smallest_witnesses_come_first_and_are_few() -> None:
    """Of many cases only the shortest stories are told, all are counted."""
    log = WrittenLog("deduplicated")
    for number in range(WITNESSES + 3):
        command = log.command(f"k{number}")
        answer = log.executed(command)
        log.event_again(command)
        if number == 0:
            log.reply(log.again(command), 201, answer["body"])
    anomaly = log.audit().anomalies[0]
    assert anomaly.count == WITNESSES + 3
    assert len(anomaly.witnesses) == WITNESSES
    assert anomaly.money == {"eur": 500 * (WITNESSES + 3)}
    assert all(len(witness.places) == 3 for witness in anomaly.witnesses)


def test_one_mishap_seen_by_two_checks_is_at_stake_once() -> None:
    """Torn and lost are two views of the same 500."""
    log = WrittenLog()
    log.executed(log.command("k"), only="key reply")
    report = log.audit()
    assert len(report.anomalies) == 2
    assert report.money_at_stake == {"eur": 500}


def test_report_survives_json() -> None:
    """`report.json` read back is the same report."""
    log = WrittenLog("at-least-once")
    log.executed(log.command("k"), only="event reply")
    log.executed(log.command("k"), only="event reply")
    report = log.audit()
    assert found(report)
    again = Report.from_json(orjson.loads(orjson.dumps(report.to_json())))
    assert again == report
    with pytest.raises(ValueError, match="schema"):
        Report.from_json({**report.to_json(), "schema": 99})


def test_timeline_tells_customer_and_log_in_order() -> None:
    """A witness reads like a story: what was meant, sent, appended, answered."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    for attempt in (1, 2):
        command = log.command("k", metadata={"intent": "i-1"})
        log.sent("i-1", command, attempt)
        log.executed(command, only="event reply")
        log.unknown("i-1", attempt) if attempt == 1 else None
    story = log.audit().anomalies[0].witnesses[0].timeline
    assert "means charge.create, once" in story[0]
    assert [line for line in story if "outcome unknown (timeout)" in line]
    assert list(story) == sorted(story, key=lambda line: line[:12])
