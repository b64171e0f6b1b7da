"""unanswered: waiting for what will never come; and what looks like it and is not."""

from tests.support.written_log import WrittenLog, found

ONE = [("unanswered", None, 1)]


def test_executed_and_never_answered() -> None:
    """A command with an event and without a reply leaves its customer waiting."""
    log = WrittenLog("at-least-once")
    log.executed(log.command("k"), only="event")
    report = log.audit()
    assert found(report) == ONE
    assert report.anomalies[0].money == {"eur": 500}


def test_swallowed_reply_of_a_replay() -> None:
    """A retry is a command like any other: it must be answered."""
    log = WrittenLog()
    log.executed(log.command("k"))
    log.command("k")
    assert found(log.audit()) == ONE


def test_unreadable_command_without_a_dead_letter() -> None:
    """Bytes that are no command need no answer, but a dead letter."""
    log = WrittenLog()
    log.append("commands", "shop", b"\xff not json")
    assert found(log.audit()) == ONE


def test_unreadable_command_with_its_dead_letter_is_right() -> None:
    """A dead letter settles it."""
    log = WrittenLog()
    offset = log.append("commands", "shop", b"\xff not json")
    headers = {"topic": "payments.commands", "partition": 0, "offset": offset, "reason": "unreadable"}
    log.append("dead-letters", "shop", b"\xff not json", headers=headers)
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_command_in_flight_is_not_unanswered() -> None:
    """Above the position an answer may still come."""
    log = WrittenLog()
    log.executed(log.command("k1"))
    log.command("k2")
    log.in_flight = 1
    assert found(log.audit()) == []


def test_reply_deleted_by_retention_is_not_unanswered() -> None:
    """Where `replies` begins above 0, the reply may have been there."""
    log = WrittenLog(starts={"replies": 3})
    log.executed(log.command("k1"), only="event key")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "unknown")


def asked_again_after(pause_ms: int, reason: str, *, fault: str | None = None) -> WrittenLog:
    """A customer whose first attempt ends unknown, and who asks again, in vain, after his answer came."""
    log = WrittenLog()
    log.meant("i-1")
    command = log.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log.unknown("i-1")
    log.executed(command)
    if fault is not None:
        log.fault(fault, "begin")
        log.fault(fault, "hit")
    log.now += pause_ms
    log.sent("i-1", command, 2)
    log.now += 20_000
    log.unknown("i-1", 2, reason)
    if fault is not None:
        log.fault(fault, "end")
    return log


def test_gateway_that_does_not_find_a_standing_answer() -> None:
    """The answer stood on the log, nothing was broken, and the gateway still said it did not know."""
    assert found(asked_again_after(30_000, "504 answer_timeout").audit()) == ONE


def test_customer_who_went_away_is_not_unanswered() -> None:
    """A cut connection is no answer, but one could have been had by asking again."""
    report = asked_again_after(30_000, "connection reset").audit()
    assert found(report) == []
    assert report.counts.left_unknown == 1


def test_customer_who_asked_during_an_outage_is_not_unanswered() -> None:
    """While a broker is down nobody can know the answer."""
    assert found(asked_again_after(30_000, "504 answer_timeout", fault="kill_broker").audit()) == []


def test_customer_who_asked_before_the_answer_stood_is_not_unanswered() -> None:
    """An attempt that began before the answer was there proves nothing."""
    assert found(asked_again_after(500, "504 answer_timeout").audit()) == []
