"""answer_mismatch: told something else than what happened; and what looks like it and is not."""

from typing import Any

import pytest

from tests.support.written_log import WrittenLog, canonical, found

ONE = [("answer_mismatch", None, 1)]


def bought() -> tuple[WrittenLog, Any, dict[str, Any]]:
    log = WrittenLog()
    command = log.command("k")
    return log, command, log.executed(command)


def test_two_different_replies_to_one_command() -> None:
    """A redelivered command must be answered with the same bytes."""
    log, command, answer = bought()
    log.reply(command, 201, answer["body"].replace("500", "501"))
    report = log.audit()
    assert found(report) == ONE
    assert report.anomalies[0].money == {"eur": 1}


@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once", "deduplicated"])
def test_executed_and_refused(guarantee: str) -> None:
    """The processor died between charge and answer; the capture came again and was no longer possible."""
    log = WrittenLog(guarantee)
    held = log.command("k1", capture=False)
    log.executed(held)
    capture = log.command("k2", "charge.capture", charge_id=held.charge_id)
    log.executed(capture, only="event")
    refusal = canonical({"code": "charge_already_captured", "status": 409})
    if guarantee == "deduplicated":
        log.key(capture, 409, refusal, event_id=None)
    log.reply(capture, 409, refusal)
    report = log.audit()
    assert found(report) == ONE
    assert report.anomalies[0].money == {"eur": 500}
    assert "charge.captured was executed" in report.anomalies[0].witnesses[0].summary


def test_replay_that_differs_by_one_byte() -> None:
    """The same key and the same request get the original body, byte for byte."""
    log, _, answer = bought()
    log.reply(log.command("k"), 201, answer["body"] + " ", replayed=True)
    assert found(log.audit()) == ONE


def test_replay_of_another_status() -> None:
    """A decline is replayed as the same decline even if the card would now succeed."""
    log = WrittenLog("deduplicated")
    log.executed(log.command("k", payment_method="pm_card_declined"))
    again = log.command("k", payment_method="pm_card_declined")
    log.reply(again, 201, canonical({"id": "ch_1", "amount": 500, "currency": "eur"}), replayed=True)
    report = log.audit()
    assert ("answer_mismatch", None, 1) in found(report)


def test_replay_that_claims_to_be_the_first() -> None:
    """Only the executing command's answer is not marked as replayed."""
    log, _, answer = bought()
    log.reply(log.command("k"), 201, answer["body"], replayed=False)
    assert ("answer_mismatch", None, 1) in found(log.audit())


def test_executing_command_that_claims_to_be_replayed() -> None:
    """`replayed` is true only if the key record belongs to another command."""
    log = WrittenLog()
    command = log.command("k")
    answer = log.executed(command, only="event key")
    log.reply(command, 201, answer["body"], replayed=True)
    assert found(log.audit()) == ONE


def test_key_record_that_says_something_else() -> None:
    """Key record, event and answer are one story."""
    log = WrittenLog()
    command = log.command("k")
    answer = log.executed(command, only="event reply")
    log.key(command, 201, answer["body"].replace("500", "400"))
    report = log.audit()
    assert found(report) == ONE
    assert report.anomalies[0].money == {"eur": 100}


@pytest.mark.parametrize("guarantee", ["at-most-once", "at-least-once", "deduplicated", "exactly-once"])
def test_event_of_another_amount_than_asked_for(guarantee: str) -> None:
    """Under every guarantee an event is what its command asked for."""
    log = WrittenLog(guarantee)
    command = log.command("k")
    answer = log.executed(command, only="key reply")
    charge = {**log.charges[command.charge_id], "amount": 900, "amount_captured": 900}
    log.event(command, type="charge.succeeded", amount=900, currency="eur", sequence=1, data={"charge": charge})
    report = log.audit()
    assert report.found("answer_mismatch") == 1, answer
    assert report.anomalies[0].money == {"eur": 400}


def test_refund_of_more_than_was_captured_is_recomputed() -> None:
    """The answer is a function of the log: what should have been refused was not."""
    log = WrittenLog()
    charge = log.command("k1")
    log.executed(charge)
    log.executed(log.command("k2", "refund.create", charge_id=charge.charge_id, amount=501))
    assert found(log.audit()) == [*ONE, ("over_refund", None, 1)]


def test_refusal_of_what_should_have_been_executed_is_recomputed() -> None:
    """A 404 for a charge that is there is a wrong answer."""
    log = WrittenLog()
    charge = log.command("k1")
    log.executed(charge)
    refund = log.command("k2", "refund.create", charge_id=charge.charge_id, amount=100)
    body = canonical({"status": 404, "code": "charge_not_found"})
    log.key(refund, 404, body)
    log.reply(refund, 404, body)
    assert found(log.audit()) == ONE


def test_dead_letter_for_a_valid_command() -> None:
    """A command that breaks no rule must be decided."""
    log = WrittenLog()
    log.dead(log.command("k"), "invalid_payload")
    assert found(log.audit()) == ONE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"command_id": "00000000-0000-7000-8000-000000000001"', '"command_id": ""'),
        ('"command_id": "00000000-0000-7000-8000-000000000001"', '"command_id": "first"'),
        ('"idempotency_key": "k"', '"idempotency_key": ""'),
        ('"idempotency_key": "k"', '"idempotency_key": "\\u00e9"'),
        ('"merchant_id": "shop"', '"merchant_id": "Shop"'),
        ('"deadline_at": ', '"deadline_at": -'),
        ('"issued_at"', '"issued"'),
        ('"amount": 500', '"amount": 500, "amount": 500'),
        ("{", '{"padding": "' + "x" * 64 * 1024 + '", '),
    ],
)
def test_dead_letter_for_a_command_with_a_bad_envelope_is_right(old: str, new: str) -> None:
    """A valid payload does not make a valid command, and no command of any producer stops the audit."""
    log = WrittenLog()
    command = log.command("k")
    entry = log.entries["commands"].pop()
    value = (entry.value or b"").decode().replace(old, new, 1).encode()
    log.entries["commands"].append(entry._replace(value=value, key=b"Shop" if "Shop" in new else entry.key))
    log.dead(command, "invalid_command")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_answer_a_client_got_that_is_on_no_log() -> None:
    """What a customer hears must stand in `replies`, whatever the gateway remembers."""
    log = WrittenLog()
    log.meant("i-1")
    command = log.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    answer = log.executed(command)
    log.heard("i-1", {"status": 201, "body": answer["body"].replace(" ", "").replace("500", "600")})
    assert found(log.audit()) == ONE


def test_expired_after_the_real_answer_is_right() -> None:
    """A command redelivered after its key has gone may only be told command_expired."""
    log, command, _ = bought()
    log.refused(command, 409, "command_expired")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_repeated_equal_replies_are_right() -> None:
    """Replies may repeat."""
    log, command, answer = bought()
    log.reply(command, 201, answer["body"])
    assert found(log.audit()) == []


def test_conflict_beside_the_answer_is_right() -> None:
    """A 422 to another request under the key is not one of the key's answers."""
    log, _, _ = bought()
    log.refused(log.command("k", amount=900), 422, "idempotency_key_reused")
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_two_lives_of_a_key_have_two_answers() -> None:
    """After expiry the same key is a new request."""
    log = WrittenLog(ttl_ms=1_000)
    log.executed(log.command("k"))
    log.now += 1_000
    log.executed(log.command("k"))
    assert found(log.audit()) == []


def test_replay_at_the_last_moment_of_a_life_is_right() -> None:
    """A key is valid while the clock is below expires_at: one millisecond before, it still answers."""
    log = WrittenLog(ttl_ms=1_000)
    first = log.command("k")
    answer = log.executed(first)
    log.now = first.clock + 999 - 10
    again = log.command("k")
    assert again.clock == first.clock + 999
    log.reply(again, 201, answer["body"], replayed=True)
    assert found(log.audit()) == []


def test_replay_at_the_first_moment_after_a_life_is_wrong() -> None:
    """At expires_at itself the key is a new request and must be executed."""
    log = WrittenLog(ttl_ms=1_000)
    first = log.command("k")
    answer = log.executed(first)
    log.now = first.clock + 1_000 - 10
    log.reply(log.command("k"), 201, answer["body"], replayed=True)
    assert ("answer_mismatch", None, 1) in found(log.audit())


def test_gateway_answers_are_no_answers_of_the_log() -> None:
    """A 409 of a key in flight, a 503 and the like come from a gateway and are not on the log."""
    log = WrittenLog()
    log.meant("i-1")
    command = log.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    answer = log.executed(command)
    in_flight = {"status": 409, "body": canonical({"code": "idempotency_key_in_flight"})}
    log.heard("i-1", in_flight)
    log.sent("i-1", command, 2)
    log.heard("i-1", {"status": 429, "body": "{}"}, 2)
    log.sent("i-1", command, 3)
    log.heard("i-1", answer, 3)
    assert found(log.audit()) == []


def test_partial_capture_then_refund_recomputes() -> None:
    """Capturing less releases the rest; refunding all that was captured ends as refunded."""
    log = WrittenLog()
    held = log.command("k1", capture=False)
    log.executed(held)
    log.executed(log.command("k2", "charge.capture", charge_id=held.charge_id, amount=300))
    log.executed(log.command("k3", "refund.create", charge_id=held.charge_id, amount=100))
    log.executed(log.command("k4", "refund.create", charge_id=held.charge_id))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_one_fault_is_one_finding() -> None:
    """What follows from a wrong answer is not told again for every later command of the charge."""
    log = WrittenLog()
    held = log.command("k1", capture=False)
    log.executed(held)
    over = log.command("k2", "charge.capture", charge_id=held.charge_id, amount=900)
    log.executed(over)
    log.executed(log.command("k3", "refund.create", charge_id=held.charge_id, amount=700))
    assert found(log.audit()) == [*ONE, ("over_capture", None, 1)]
