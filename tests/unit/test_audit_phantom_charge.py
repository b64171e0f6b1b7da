"""phantom_charge: an event nobody asked for; and what looks like it and is not."""

from simulator.audit.log import Fate
from tests.support.written_log import WrittenLog, found


def test_event_without_a_command_is_a_phantom() -> None:
    """A charge whose command is not on the log was invented."""
    log = WrittenLog("at-least-once")
    elsewhere = WrittenLog()
    log.executed(log.command("k1"), only="event reply")
    log.event(elsewhere.command("k9", command_id="99999999-0000-7000-8000-000000000000", amount=700))
    report = log.audit()
    assert found(report) == [("phantom_charge", None, 1)]
    assert report.anomalies[0].money == {"eur": 700}


def test_command_no_customer_sent_is_a_phantom_when_the_history_is_complete() -> None:
    """Every customer is in the history, and none of them asked for this."""
    log = WrittenLog()
    log.meant("i-1")
    asked = log.command("k1", metadata={"intent": "i-1"})
    log.sent("i-1", asked)
    log.heard("i-1", log.executed(asked))
    log.executed(log.command("k2"))
    assert found(log.audit()) == [("phantom_charge", None, 1)]


def test_commands_of_others_make_a_history_incomplete() -> None:
    """A command older than the run shows that the namespace is shared: others may send too."""
    log = WrittenLog(now=1_000_000_000_000)
    log.executed(log.command("k2"))
    log.now = 1_700_000_000_000
    log.meant("i-1")
    asked = log.command("k1", metadata={"intent": "i-1"})
    log.sent("i-1", asked)
    log.heard("i-1", log.executed(asked))
    assert found(log.audit()) == []


def test_event_whose_command_retention_deleted_is_no_phantom() -> None:
    """Where `commands` begins above 0, the command may have been there."""
    log = WrittenLog("at-least-once", starts={"commands": 5})
    elsewhere = WrittenLog()
    log.event(elsewhere.command("k9"))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "unknown")


def test_second_event_of_a_command_is_a_duplicate_and_no_phantom() -> None:
    """What was asked for once and done twice was still asked for."""
    log = WrittenLog("at-least-once")
    command = log.command()
    log.executed(command, only="event reply")
    log.event_again(command)
    assert log.audit().found("phantom_charge") == 0


def test_aborted_event_without_a_command_is_no_phantom() -> None:
    """What was aborted never happened."""
    log = WrittenLog()
    log.executed(log.command("k1"))
    elsewhere = WrittenLog()
    log.event(elsewhere.command("k9", command_id="99999999-0000-7000-8000-000000000000"), fate=Fate.ABORTED)
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")
    assert report.counts.aborted_records == {"charges": 1}
