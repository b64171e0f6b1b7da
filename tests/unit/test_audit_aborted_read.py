"""aborted_read: what was taken back was believed; and what looks like it and is not."""

from simulator.audit.aborted_read import AFTERWARDS_MS
from simulator.audit.books import Booked, Books
from simulator.audit.log import Fate
from tests.support.written_log import SHOP, Asked, WrittenLog, canonical, found

BODY = canonical({"id": "ch_1", "amount": 500, "currency": "eur"})
ANSWER = {"status": 201, "body": BODY}


def asked(log: WrittenLog, name: str = "i-1", key: str | None = "k") -> Asked:
    log.meant(name)
    command = log.command(key, metadata={"intent": name})
    log.sent(name, command)
    return command


def convicted(log: WrittenLog) -> int:
    return log.audit().found("aborted_read")


def test_an_answer_that_was_taken_back_is_an_aborted_read() -> None:
    """The customer heard 201, the log says it never happened and another answer did."""
    log = WrittenLog()
    command = asked(log)
    log.reply(command, 201, BODY, fate=Fate.ABORTED)
    log.heard("i-1", ANSWER)
    log.refused(command, 409, "command_expired")
    report = log.audit()
    assert report.found("aborted_read") == 1
    (anomaly,) = (anomaly for anomaly in report.anomalies if anomaly.name == "aborted_read")
    (witness,) = anomaly.witnesses
    assert (witness.subject, witness.money) == ("i-1", {"eur": 500})
    assert ("replies", 0) in [(place.topic, place.offset) for place in witness.places]
    assert sum("aborted record of command" in line for line in witness.timeline) == 1


def test_an_answer_without_a_key_is_found_by_its_intent() -> None:
    """Customers without keys are told lies as well."""
    log = WrittenLog()
    command = asked(log, key=None)
    log.reply(command, 201, BODY, fate=Fate.ABORTED)
    log.heard("i-1", ANSWER)
    log.refused(command, 409, "command_expired")
    assert convicted(log) == 1


def test_the_committed_twin_of_an_aborted_reply_is_what_was_heard() -> None:
    """A killed processor's successor decides the same again, and the customer is answered then."""
    log = WrittenLog()
    command = asked(log)
    answer = log._outcome(command)
    body = canonical(answer[1])
    log.sequences.clear()
    log.reply(command, 201, body, fate=Fate.ABORTED)
    log.now += 3_000
    log.heard("i-1", log.executed(command))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def heard_before_its_twin(ms: int, clock_behind_ms: int = 0) -> WrittenLog:
    """An aborted answer is heard, its committed twin follows; another customer shows how the clocks stand."""
    log = WrittenLog("at-least-once")
    other, command = asked(log, "i-2", "k2"), asked(log)
    told = log.executed(other, only="event reply")
    log.now -= clock_behind_ms
    log.heard("i-2", told)
    log.now += clock_behind_ms
    body = canonical(log._outcome(command)[1])
    log.sequences.pop(command.charge_id)
    log.reply(command, 201, body, fate=Fate.ABORTED)
    appended = log.now + 10_000
    log.now = appended - ms - clock_behind_ms - 1
    log.heard("i-1", {"status": 201, "body": body})
    log.now = appended - 10
    log.executed(command, only="reply")
    log.now = appended
    log.event(command)
    return log


def test_an_answer_before_its_committed_twin_is_an_aborted_read() -> None:
    """The log says the same in the end, but nobody could know when the customer was told."""
    assert convicted(heard_before_its_twin(AFTERWARDS_MS + 100)) == 1
    assert convicted(heard_before_its_twin(AFTERWARDS_MS - 100)) == 0


def test_clocks_that_differ_convict_nobody() -> None:
    """Where every answer seems to be heard before it was appended, the customers' clock is behind."""
    assert convicted(heard_before_its_twin(0, clock_behind_ms=5_000)) == 0
    assert convicted(heard_before_its_twin(AFTERWARDS_MS + 200, clock_behind_ms=5_000)) == 1


def test_an_answer_nobody_ever_wrote_is_a_mismatch_alone() -> None:
    """Where no aborted record says so, the gateway made it up."""
    log = WrittenLog("at-least-once")
    command = asked(log)
    log.heard("i-1", ANSWER)
    log.executed(command, only="event reply")
    report = log.audit()
    assert (report.found("aborted_read"), report.found("answer_mismatch")) == (0, 1)


def test_an_open_kafka_transaction_is_not_an_aborted_one() -> None:
    """It may still be committed: the verdict is unknown."""
    log = WrittenLog()
    command = asked(log)
    log.reply(command, 201, BODY, fate=Fate.OPEN)
    log.heard("i-1", ANSWER)
    log.open_topics.add("replies")
    assert convicted(log) == 0


def test_a_refusal_that_no_key_keeps_is_nothing_to_believe() -> None:
    """A 503 or a command_expired makes no promise that could be taken back."""
    log = WrittenLog()
    command = asked(log)
    body = canonical({"status": 409, "code": "command_expired"})
    log.reply(command, 409, body, fate=Fate.ABORTED)
    log.heard("i-1", {"status": 409, "body": body})
    log.executed(command)
    assert convicted(log) == 0


def test_an_aborted_record_of_somebody_else_convicts_nobody() -> None:
    """Another producer's aborted reply to another command is not what our customer heard."""
    log = WrittenLog()
    command = asked(log)
    log.append("replies", "x", b"[]", fate=Fate.ABORTED)
    value = {"merchant_id": SHOP, "command_id": "of-nobody", "status": 201, "body": BODY}
    log.append("replies", "x", value, fate=Fate.ABORTED)
    log.heard("i-1", log.executed(command))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_an_entry_of_an_aborted_event_is_an_aborted_read() -> None:
    """The ledger booked what never happened; the same event committed later is another record."""
    log = WrittenLog("at-least-once")
    command = log.command("k")
    log.event(command, fate=Fate.ABORTED)
    log.sequences.clear()
    log.executed(command, only="event reply")
    lines = [("customer_payments", "eur", 500), ("captures", "eur", -500)]
    books = Books(positions={0: 2})
    for offset in (0, 1):
        books.entries[0, offset] = Booked("charge.succeeded", SHOP, "eur", 500)
        books.postings[0, offset] = lines
    report = log.audit(books)
    (anomaly,) = (anomaly for anomaly in report.anomalies if anomaly.name == "aborted_read")
    assert (anomaly.count, anomaly.money) == (1, {"eur": 500})
    assert [place.offset for place in anomaly.witnesses[0].places] == [0]
    assert report.checks.count("aborted_read") == 1
    del books.entries[0, 0]
    assert log.audit(books).found("aborted_read") == 0
