"""late_reexecution: executed when it could only be refused; and what looks like it and is not."""

from tests.support.written_log import WrittenLog, found


def late(log: WrittenLog) -> int:
    return log.audit().found("late_reexecution")


def test_old_command_executed_again_after_its_key_expired() -> None:
    """A redelivery below the position that no key record answers any more is refused, never executed."""
    log = WrittenLog(ttl_ms=1_000)
    command = log.command("k")
    log.executed(command)
    log.now += 1_000
    log.executed(log.command("other"))
    log.event_again(command, occurred_at=log.now)
    report = log.audit()
    assert ("late_reexecution", None, 1) in found(report)
    assert ("duplicate_charge", "crash_redelivery", 1) in found(report)


def test_clock_is_what_the_partition_has_seen() -> None:
    """An event that keeps its old instant is late all the same when it stands after younger ones."""
    log = WrittenLog("at-least-once", ttl_ms=1_000)
    command = log.command("k")
    log.executed(command, only="event reply")
    log.now += 1_000
    log.executed(log.command("other"), only="event reply")
    log.event_again(command)
    assert late(log) == 1


def test_executed_past_its_deadline() -> None:
    """Past its deadline a command must be refused, or an unknown outcome never becomes final."""
    log = WrittenLog("at-least-once")
    log.executed(log.command("k", deadline_in=9), only="event reply")
    assert found(log.audit()) == [("late_reexecution", None, 1)]


def test_executed_exactly_at_its_deadline_is_right() -> None:
    """Past the deadline means later than it."""
    log = WrittenLog()
    log.executed(log.command("k", deadline_in=10))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_executed_again_within_the_window_is_a_duplicate_only() -> None:
    """While the key lives, a second execution is a duplicate and not a late one."""
    log = WrittenLog("deduplicated", ttl_ms=1_000)
    command = log.command("k")
    log.executed(command)
    log.event_again(command)
    assert found(log.audit()) == [("duplicate_charge", "crash_redelivery", 1)]


def test_new_command_after_expiry_is_a_new_request() -> None:
    """Another command under the expired key is no re-execution."""
    log = WrittenLog(ttl_ms=1_000)
    log.executed(log.command("k"))
    log.now += 1_000
    log.executed(log.command("k"))
    assert found(log.audit()) == []


def test_old_command_refused_after_its_key_expired_is_right() -> None:
    """command_expired is the answer to a redelivery that nothing remembers."""
    log = WrittenLog(ttl_ms=1_000)
    command = log.command("k")
    log.executed(command)
    log.now += 1_000
    log.refused(log.again(command), 409, "command_expired")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")
