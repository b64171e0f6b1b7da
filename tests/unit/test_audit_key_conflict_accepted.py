"""key_conflict_accepted: a key honoured for another request; and what looks like it and is not."""

import pytest

from tests.support.written_log import WrittenLog, found


def conflicts(log: WrittenLog) -> list[tuple[int, dict[str, int]]]:
    return [(a.count, dict(a.money)) for a in log.audit().anomalies if a.name == "key_conflict_accepted"]


def test_other_request_answered_with_the_first_answer() -> None:
    """A replay that ignores the fingerprint makes the customer believe something untrue."""
    log = WrittenLog()
    answer = log.executed(log.command("k"))
    log.reply(log.command("k", amount=900), 201, answer["body"], replayed=True)
    assert conflicts(log) == [(1, {"eur": 500})]


def test_other_request_executed_under_the_key() -> None:
    """Two different purchases under one key are both executed: the second should have been a 422."""
    log = WrittenLog("at-least-once")
    log.executed(log.command("k"), only="event reply")
    log.executed(log.command("k", amount=900), only="event reply")
    assert conflicts(log) == [(1, {"eur": 900})]


def test_other_operation_under_the_key() -> None:
    """The operation is part of the fingerprint."""
    log = WrittenLog("at-least-once")
    bought = log.command("k")
    log.executed(bought, only="event reply")
    log.executed(log.command("k", "refund.create", charge_id=bought.charge_id), only="event reply")
    assert conflicts(log) == [(1, {"eur": 500})]


def test_other_request_declined_under_the_key() -> None:
    """A replayed decline for another request honours the key as well."""
    log = WrittenLog()
    answer = log.executed(log.command("k", payment_method="pm_card_declined"))
    log.reply(log.command("k", amount=900), 402, answer["body"], replayed=True)
    assert conflicts(log) == [(1, {})]


def test_422_is_right() -> None:
    """The other request is refused and nothing stored."""
    log = WrittenLog()
    answer = log.executed(log.command("k"))
    log.refused(log.command("k", amount=900), 422, "idempotency_key_reused")
    log.reply(log.command("k"), 201, answer["body"], replayed=True)
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_same_request_spelled_differently_is_no_conflict() -> None:
    """Member order does not change the fingerprint."""
    log = WrittenLog()
    answer = log.executed(log.command("k", description="shoes", metadata={"a": "1"}))
    again = log.command("k", metadata={"a": "1"}, description="shoes")
    log.reply(again, 201, answer["body"], replayed=True)
    assert found(log.audit()) == []


def test_null_is_another_request_than_absent() -> None:
    """Absent, null and an explicit default differ."""
    log = WrittenLog()
    answer = log.executed(log.command("k"))
    log.reply(log.command("k", description=None), 201, answer["body"], replayed=True)
    assert conflicts(log) == [(1, {"eur": 500})]


def test_other_request_after_the_life_of_the_key_is_right() -> None:
    """At expires_at the key is free for another request."""
    log = WrittenLog(ttl_ms=1_000)
    log.executed(log.command("k"))
    log.now += 1_000
    log.executed(log.command("k", amount=900))
    assert found(log.audit()) == []


def test_key_that_no_answer_ever_bound_is_free() -> None:
    """A 400, an expired or a lost command binds nothing: the next request under the key is the first."""
    log = WrittenLog()
    log.refused(log.command("k", deadline_in=-1), 409, "command_expired")
    log.executed(log.command("k", amount=900))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_same_key_of_a_keyless_command_is_none() -> None:
    """Commands without a key share nothing."""
    log = WrittenLog()
    log.executed(log.command(None))
    log.executed(log.command(None, amount=900))
    assert found(log.audit()) == []


def test_copy_of_an_old_command_in_a_later_life_of_its_key_is_no_conflict() -> None:
    """What was executed before the key expired binds nothing when it comes again, and accepts nothing."""
    log = WrittenLog(ttl_ms=1_000)
    old = log.command("k")
    log.executed(old)
    log.now += 1_000
    log.refused(log.again(old), 409, "command_expired")
    log.executed(log.command("k", amount=900))
    log.refused(log.again(old), 422, "idempotency_key_reused")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_copy_with_another_payload_is_refused_like_any_other_request() -> None:
    """A producer that uses a command id again for another request gets 422, and the first stays right."""
    log = WrittenLog()
    first = log.command("k")
    log.executed(first)
    log.refused(log.command("k", amount=900, command_id=first.command_id), 422, "idempotency_key_reused")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


@pytest.mark.parametrize("key", ["other", None])
def test_command_id_under_another_key_binds_nothing(key: str | None) -> None:
    """What is dead-lettered as command_id_reused tore nothing, and its key is free for the next request."""
    log = WrittenLog()
    first = log.command("k")
    log.executed(first)
    log.dead(log.command(key, command_id=first.command_id), "command_id_reused")
    log.executed(log.command(key, amount=900))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_request_refused_in_one_life_and_executed_in_the_next_is_no_conflict() -> None:
    """The same command, appended again after the key expired, is a new request."""
    log = WrittenLog(ttl_ms=1_000)
    log.executed(log.command("k"))
    other = log.command("k", amount=900)
    log.refused(other, 422, "idempotency_key_reused")
    log.now += 1_000
    log.executed(log.again(other))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_refused_command_id_under_the_key_of_another_request_is_no_conflict() -> None:
    """What an id was answered under its own key says nothing of what it is answered under another."""
    log = WrittenLog()
    log.executed(log.command("k"))
    lost = log.command("own", "refund.create", charge_id="ch_unknown")
    log.executed(lost)
    copy = log.command("k", "refund.create", command_id=lost.command_id, charge_id="ch_unknown")
    log.refused(copy, 422, "idempotency_key_reused")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")
