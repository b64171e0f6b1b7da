"""lost_charge: told yes and nothing executed; and what looks like it and is not."""

from tests.support.written_log import WrittenLog, found


def lost(log: WrittenLog) -> int:
    return log.audit().found("lost_charge")


def test_answer_without_an_event_is_lost() -> None:
    """A 201 on the log whose charge has no event is a lost charge, worth what the answer claims."""
    log = WrittenLog("at-most-once")
    log.executed(log.command(), only="reply")
    report = log.audit()
    assert found(report) == [("lost_charge", None, 1)]
    assert report.anomalies[0].money == {"eur": 500}


def test_answer_only_a_client_saw_is_lost() -> None:
    """A 201 that the customer got, of a charge nowhere on the log, is lost even without a command."""
    log = WrittenLog("at-most-once")
    log.meant("i-1")
    other = WrittenLog()
    command = other.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log.heard("i-1", other.executed(command))
    assert lost(log) == 1


def test_refund_answered_without_an_event_is_lost() -> None:
    """Each operation has an event of its own: a charge's creation does not stand for its refund."""
    log = WrittenLog("at-most-once")
    bought = log.command("k1")
    log.executed(bought)
    log.executed(log.command("k2", "refund.create", charge_id=bought.charge_id, amount=200), only="reply")
    report = log.audit()
    assert found(report) == [("lost_charge", None, 1)]
    assert report.anomalies[0].money == {"eur": 200}


def test_command_passed_over_is_lost() -> None:
    """A valid command below the processor's position without any trace is a sale that never was."""
    log = WrittenLog("at-most-once")
    log.command("k1")
    log.executed(log.command("k2"), only="event reply")
    report = log.audit()
    assert found(report) == [("lost_charge", None, 1)]
    assert report.anomalies[0].money == {"eur": 500}


def test_retries_passed_over_together_are_one_loss() -> None:
    """Three commands of one intent, all passed over, are one charge lost."""
    log = WrittenLog("at-most-once")
    for _ in range(3):
        log.command("k")
    assert lost(log) == 1


def test_command_in_flight_is_not_lost() -> None:
    """Above the processor's position a command may still be executed: the verdict is unknown."""
    log = WrittenLog()
    log.command()
    log.in_flight = 1
    report = log.audit()
    assert (found(report), report.verdict) == ([], "unknown")
    assert "in flight" in report.unknown[0]


def test_open_kafka_transaction_hides_no_loss() -> None:
    """While a Kafka transaction is open the missing event may be in it: the verdict is unknown."""
    log = WrittenLog()
    log.executed(log.command(), only="key reply")
    log.open_topics.add("charges")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "unknown")
    assert "Kafka transaction is open in charges" in report.unknown[0]


def test_command_passed_over_whose_retry_was_executed_is_not_lost() -> None:
    """The sale was made: the first command is unanswered, not lost."""
    log = WrittenLog("at-most-once")
    log.command("k")
    log.executed(log.command("k"), only="event reply")
    assert found(log.audit()) == [("unanswered", None, 1)]


def test_dead_letter_and_refusals_are_not_lost() -> None:
    """A command refused as bad, as expired or by its card was not lost."""
    log = WrittenLog()
    bad = log.command("k1", amount=0)
    log.dead(bad, "invalid_payload")
    log.refused(bad, 400, "invalid_request")
    late = log.command("k2", deadline_in=-1)
    log.refused(late, 409, "command_expired")
    log.executed(log.command("k3", payment_method="pm_card_expired"))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_declined_command_passed_over_is_not_lost_money() -> None:
    """A command that would have been declined is unanswered, but no money was lost."""
    log = WrittenLog("at-most-once")
    log.command("k", payment_method="pm_card_declined")
    assert found(log.audit()) == [("unanswered", None, 1)]


def test_events_deleted_by_retention_are_not_lost() -> None:
    """A topic that does not begin at 0 cannot prove a loss: the verdict is unknown."""
    log = WrittenLog(starts={"charges": 7})
    log.executed(log.command(), only="key reply")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "unknown")
    assert "begins at 7" in report.unknown[0]
