"""stuck: nobody executes a partition's commands any more; and what looks like it and is not."""

import pytest

from simulator.audit.log import Entry
from simulator.audit.stuck import STUCK_MS
from tests.support.written_log import WrittenLog, found

LONG_MS = STUCK_MS + 1_000


def waiting_for(ms: int, guarantee: str = "exactly-once") -> WrittenLog:
    """One command executed; the next one waits for that long while the log goes on."""
    log = WrittenLog(guarantee)
    log.executed(log.command("k1"))
    log.moved_at = log.now
    waits = log.command("k2", amount=700)
    log.now = waits.clock + ms - 10
    log.command("k3", amount=50)
    log.in_flight = 2
    return log


@pytest.mark.parametrize("guarantee", ["exactly-once", "at-least-once"])
def test_commands_that_wait_while_the_log_goes_on_are_stuck(guarantee: str) -> None:
    """By the processor's position or by the group's offset; what they would have moved is at stake."""
    report = waiting_for(LONG_MS, guarantee).audit()
    assert found(report) == [("stuck", None, 1)]
    (witness,) = report.anomalies[0].witnesses
    assert (witness.subject, witness.money) == ("partition 0", {"eur": 750})
    assert witness.summary.startswith("2 commands wait from offset 1 on")
    assert [(place.topic, place.offset) for place in witness.places] == [("commands", 1)]


@pytest.mark.parametrize(("ms", "convicted"), [(STUCK_MS, 0), (STUCK_MS + 1, 1)])
def test_a_command_in_flight_is_not_stuck(ms: int, convicted: int) -> None:
    """Up to the bound it may still be executed: the verdict is unknown, and nothing more."""
    report = waiting_for(ms).audit()
    assert (report.found("stuck"), report.verdict) == (convicted, "invalid" if convicted else "unknown")


def test_nobody_waits_behind_the_position() -> None:
    """However long the log is."""
    log = waiting_for(LONG_MS)
    log.in_flight = 0
    assert log.audit().found("stuck") == 0


def test_a_backlog_that_is_worked_off_is_not_stuck() -> None:
    """Something was decided a moment ago."""
    log = waiting_for(LONG_MS)
    log.moved_at = log.now - 5_000
    assert log.audit().found("stuck") == 0


def test_a_log_that_nobody_uses_is_not_stuck() -> None:
    """Its processors may have been stopped on purpose; a late dead letter of somebody else changes no clock."""
    log = WrittenLog("at-least-once")
    log.command("k1")
    log.in_flight = 1
    headers = [("topic", b"payments.commands"), ("partition", b"0"), ("offset", b"9"), ("reason", b"x")]
    log.entries["dead-letters"].append(Entry(0, 0, log.now + 10 * LONG_MS, b"x", b"{}", headers))
    report = log.audit()
    assert (report.found("stuck"), report.verdict) == (0, "unknown")


def test_customers_who_go_on_are_the_log_going_on() -> None:
    """Nobody appends any more, as nobody gets an answer; the history shows that time has passed."""
    log = WrittenLog()
    log.meant("i-1")
    log.sent("i-1", log.command("k1", metadata={"intent": "i-1"}))
    log.moved_at = log.now
    log.in_flight = 1
    log.now += LONG_MS + 1_000
    log.unknown("i-1")
    assert log.audit().found("stuck") == 1


@pytest.mark.parametrize("ends", [True, False])
def test_a_fault_excuses_what_came_before_its_end(ends: bool) -> None:
    """While somebody breaks the system, and until it had time to be itself again, it may stand still."""
    log = WrittenLog()
    log.meant("i-1")
    log.fault("kill_processor", "begin", number=1)
    log.sent("i-1", log.command("k1", metadata={"intent": "i-1"}))
    log.moved_at = log.now
    log.in_flight = 1
    log.now += LONG_MS
    if ends:
        log.fault("kill_processor", "end", number=1)
    log.unknown("i-1")
    assert log.audit().found("stuck") == 0
