"""torn_transaction: only a part of what a command causes is committed; and what looks like it and is not."""

import pytest

from simulator.audit.log import Fate
from tests.support.written_log import WrittenLog, derived, found


@pytest.mark.parametrize("guarantee", ["exactly-once", "deduplicated"])
def test_event_and_reply_without_a_key_record(guarantee: str) -> None:
    """An execution that no key record remembers could be repeated."""
    log = WrittenLog(guarantee)
    log.executed(log.command("k"), only="event reply")
    report = log.audit()
    assert found(report) == [("torn_transaction", None, 1)]
    assert "committed its event and reply, but not its key record" in report.anomalies[0].witnesses[0].summary


def test_command_without_a_key_is_remembered_too() -> None:
    """A keyless command has a record under its own id, and is torn without it."""
    log = WrittenLog()
    log.executed(log.command(None), only="event reply")
    assert found(log.audit()) == [("torn_transaction", None, 1)]


def test_key_record_and_reply_without_an_event() -> None:
    """The money never moved, and the customer was told it did: torn, and lost."""
    log = WrittenLog()
    log.executed(log.command("k"), only="key reply")
    assert found(log.audit()) == [("lost_charge", None, 1), ("torn_transaction", None, 1)]


def test_event_alone() -> None:
    """The event without its key record and its reply, shown with what was aborted."""
    log = WrittenLog()
    command = log.command("k")
    log.executed(command, only="event")
    value = {"merchant_id": "shop", "command_id": command.command_id}
    log.append("replies", command.command_id, value, fate=Fate.ABORTED)
    report = log.audit()
    assert found(report) == [("torn_transaction", None, 1), ("unanswered", None, 1)]
    assert any("aborted record" in line for line in report.anomalies[0].witnesses[0].timeline)


def test_key_record_alone() -> None:
    """A key record written outside the Kafka transaction remembers an execution that was aborted."""
    log = WrittenLog()
    log.executed(log.command("k"), only="key")
    assert ("torn_transaction", None, 1) in found(log.audit())


def test_key_record_replaced_by_a_later_life_is_not_torn() -> None:
    """Only the newest record of a key is evidence: the older one may have been compacted away."""
    log = WrittenLog(ttl_ms=1_000)
    log.executed(log.command("k"), only="event reply")
    log.now += 1_000
    log.executed(log.command("k"))
    assert found(log.audit()) == []


def test_older_key_record_is_no_excuse() -> None:
    """A newest record that is of an earlier command does not remember the later execution."""
    log = WrittenLog(ttl_ms=1_000)
    log.executed(log.command("k"))
    log.now += 1_000
    log.executed(log.command("k"), only="event reply")
    assert found(log.audit()) == [("torn_transaction", None, 1)]


def test_tombstone_is_not_torn() -> None:
    """A key that expired was remembered for as long as it had to be."""
    log = WrittenLog(ttl_ms=1_000)
    command = log.command("k")
    log.executed(command)
    log.now += 1_000
    log.tombstone(command)
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_nothing_left_of_an_expired_key_is_not_torn() -> None:
    """Compaction removes tombstones too; after the window nothing need be left."""
    log = WrittenLog(ttl_ms=1_000)
    log.executed(log.command("k"), only="event reply")
    log.now += 1_000
    log.executed(log.command("other"))
    assert found(log.audit()) == []


def test_aborted_twin_is_not_torn() -> None:
    """A first try that was aborted and a second that committed is how it should be."""
    log = WrittenLog()
    command = log.command("k")
    log.append(
        "charges",
        command.charge_id,
        {"merchant_id": "shop", "command_id": command.command_id},
        fate=Fate.ABORTED,
    )
    log.executed(command)
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


@pytest.mark.parametrize("guarantee", ["at-least-once", "at-most-once"])
def test_lower_guarantees_promise_no_key_record(guarantee: str) -> None:
    """Where keys decide nothing, a missing key record is no tear."""
    log = WrittenLog(guarantee)
    log.executed(log.command("k"), only="event reply")
    assert found(log.audit()) == []


def test_refusal_with_its_key_record_is_whole() -> None:
    """A refused command has no event, and needs none."""
    log = WrittenLog()
    missing = log.command("k", "charge.void", charge_id=derived("ch", "nobody"))
    log.executed(missing)
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")
