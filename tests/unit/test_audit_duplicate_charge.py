"""duplicate_charge: executed more than once, told apart by cause; and what looks like it and is not."""

import pytest

from tests.support.written_log import WrittenLog, found


def test_same_command_executed_again_is_a_crash_redelivery() -> None:
    """A second event of one command, with no rewind over it, is blamed on a crash, with its money."""
    log = WrittenLog("deduplicated")
    command = log.command()
    log.executed(command)
    log.event_again(command)
    report = log.audit()
    assert found(report) == [("duplicate_charge", "crash_redelivery", 1)]
    assert report.verdict == "invalid"
    assert report.counts.overcharged == {"eur": 500}
    witness = report.anomalies[0].witnesses[0]
    assert [(place.topic, place.offset) for place in witness.places] == [
        ("commands", 0),
        ("charges", 0),
        ("charges", 1),
    ]
    assert len(witness.timeline) == 3


def test_second_command_of_one_intent_is_a_client_retry() -> None:
    """Two commands of one key, both executed, overcharge the customer by the second."""
    log = WrittenLog("at-least-once")
    for _ in range(2):
        log.executed(log.command("k"), only="event reply")
    report = log.audit()
    assert ("duplicate_charge", "client_retry", 1) in found(report)
    assert report.counts.duplicates == {"client_retry": 1, "crash_redelivery": 0, "rewind": 0}


def test_two_keys_for_one_intent_are_overcharged_although_every_key_was_honoured() -> None:
    """A customer who meant to pay once and was charged under two keys was overcharged, by the client."""
    log = WrittenLog()
    log.meant("i-1")
    for attempt, key in enumerate(("k1", "k2"), start=1):
        command = log.command(key, metadata={"intent": "i-1"})
        log.sent("i-1", command, attempt)
        log.heard("i-1", log.executed(command), attempt)
    report = log.audit()
    assert found(report) == [("duplicate_charge", "new_key", 1)]
    assert report.counts.intents == 1
    assert report.counts.charges == 2


def test_a_retry_under_an_honoured_key_is_not_blamed_on_the_client() -> None:
    """Of three executions under two keys the one that repeats a key is the system's fault, the other the client's."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    for attempt, key in enumerate(("k1", "k2", "k1"), start=1):
        command = log.command(key, metadata={"intent": "i-1"})
        log.sent("i-1", command, attempt)
        log.heard("i-1", log.executed(command, only="event reply"), attempt)
    assert {("duplicate_charge", "new_key", 1), ("duplicate_charge", "client_retry", 1)} <= set(found(log.audit()))


def test_keyless_retries_are_joined_by_the_intent_in_their_metadata() -> None:
    """Two commands without a key that name the same intent are one purchase, charged twice."""
    log = WrittenLog()
    log.meant("i-1")
    for attempt in (1, 2):
        command = log.command(None, metadata={"intent": "i-1"})
        log.sent("i-1", command, attempt)
        log.heard("i-1", log.executed(command), attempt)
    assert found(log.audit()) == [("duplicate_charge", "client_retry", 1)]


def test_redelivery_by_a_rewind_is_a_rewind() -> None:
    """The command lies in a rewound range and its second event is younger: the rewind is to blame."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    command = log.command(metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log.heard("i-1", log.executed(command, only="event reply"))
    log.fault("rewind", "begin")
    log.fault("rewind", "hit", partition=0, to=0, **{"from": 1})
    log.event_again(command)
    assert found(log.audit()) == [("duplicate_charge", "rewind", 1)]


def test_second_event_older_than_the_rewind_is_a_crash_redelivery() -> None:
    """A rewind cannot have caused what happened before it."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    command = log.command(metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log.heard("i-1", log.executed(command, only="event reply"))
    log.event_again(command)
    log.fault("rewind", "hit", partition=0, to=0, **{"from": 1})
    assert found(log.audit()) == [("duplicate_charge", "crash_redelivery", 1)]


def test_command_outside_the_rewound_range_is_a_crash_redelivery() -> None:
    """A rewind of other offsets is not to blame: `from` itself is not delivered again."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    log.meant("i-2")
    first, second = (log.command(f"k{n}", metadata={"intent": f"i-{n}"}) for n in (1, 2))
    for n, command in ((1, first), (2, second)):
        log.sent(f"i-{n}", command)
        log.heard(f"i-{n}", log.executed(command, only="event reply"))
    log.fault("rewind", "hit", partition=0, to=0, **{"from": 1})
    log.event_again(second)
    assert found(log.audit()) == [("duplicate_charge", "crash_redelivery", 1)]


def test_all_three_causes_of_one_intent_are_counted_apart() -> None:
    """A retry, a crash and a rewind on one intent are three duplicates with three causes."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    first = log.command("k1", metadata={"intent": "i-1"})
    log.sent("i-1", first)
    log.executed(first, only="event reply")
    second = log.command("k1", metadata={"intent": "i-1"})
    log.sent("i-1", second, 2)
    log.executed(second, only="event reply")
    log.event_again(second)
    log.fault("rewind", "hit", partition=0, to=0, **{"from": 1})
    log.event_again(first)
    report = log.audit()
    assert report.counts.duplicates == {"client_retry": 1, "crash_redelivery": 1, "rewind": 1}
    assert report.counts.overcharged == {"eur": 1500}


def test_second_capture_and_second_refund_are_told_apart_from_charges() -> None:
    """A refund executed twice gave money back twice; it is not counted as overcharged."""
    log = WrittenLog("deduplicated")
    bought = log.command("k1")
    log.executed(bought)
    back = log.command("k2", "refund.create", charge_id=bought.charge_id, amount=100)
    log.executed(back)
    log.event_again(back)
    report = log.audit()
    assert found(report) == [("duplicate_charge", "crash_redelivery", 1)]
    assert (report.counts.overcharged, report.counts.overrefunded) == ({}, {"eur": 100})


def test_decline_then_success_is_no_duplicate() -> None:
    """A declined card and then another one under a new key moved money once."""
    log = WrittenLog()
    log.meant("i-1")
    for attempt, card in enumerate(("pm_card_declined", "pm_card_visa"), start=1):
        command = log.command(f"k{attempt}", payment_method=card, metadata={"intent": "i-1"})
        log.sent("i-1", command, attempt)
        log.heard("i-1", log.executed(command), attempt)
    assert found(log.audit()) == []


def test_authorization_and_its_capture_are_two_intents() -> None:
    """Holding and then taking the same money is one purchase done right."""
    log = WrittenLog()
    held = log.command("k1", capture=False)
    log.executed(held)
    log.executed(log.command("k2", "charge.capture", charge_id=held.charge_id))
    report = log.audit()
    assert found(report) == []
    assert report.counts.events == {"charge.authorized": 1, "charge.captured": 1}


def test_replayed_answer_is_no_duplicate() -> None:
    """A retry that is answered from the key record executes nothing."""
    log = WrittenLog()
    answer = log.executed(log.command("k"))
    log.reply(log.command("k"), answer["status"], answer["body"], replayed=True)
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


def test_key_used_again_after_its_life_is_a_new_request() -> None:
    """Without a history a key means one thing only while it lives."""
    log = WrittenLog(ttl_ms=1_000)
    log.executed(log.command("k"))
    log.now += 1_000
    log.executed(log.command("k"))
    report = log.audit()
    assert found(report) == []
    assert report.counts.intents == 2


def test_key_used_again_after_its_life_for_the_same_intent_is_a_client_retry() -> None:
    """With a history the customer's intent counts: paid once in mind, twice in fact."""
    log = WrittenLog(ttl_ms=1_000)
    log.meant("i-1")
    for attempt in (1, 2):
        command = log.command("k", metadata={"intent": "i-1"})
        log.sent("i-1", command, attempt)
        log.heard("i-1", log.executed(command), attempt)
        log.now += 1_000
    assert found(log.audit()) == [("duplicate_charge", "client_retry", 1)]


def test_copy_of_a_command_that_is_answered_again_is_no_duplicate() -> None:
    """The same command appended twice and executed once is how redelivery should look."""
    log = WrittenLog()
    command = log.command("k")
    answer = log.executed(command)
    log.reply(log.again(command), answer["status"], answer["body"])
    assert found(log.audit()) == []


def copied(log: WrittenLog, made: str, *, replayed: bool = False) -> None:
    log.fault("deliver_twice", "hit", manner="copy", made=made, status=201, replayed=replayed)


def test_a_copy_that_the_network_delivered_is_the_networks_doing() -> None:
    """Nobody asked twice: the charge that the copy made is the one too many, whichever came first."""
    for order in ((0, 1), (1, 0)):
        log = WrittenLog("at-least-once")
        log.meant("i-1")
        commands = [log.command("k", metadata={"intent": "i-1"}) for _ in range(2)]
        log.sent("i-1", commands[0])
        answers = [log.executed(commands[n], only="event reply") for n in order]
        log.heard("i-1", answers[order.index(0)])
        copied(log, commands[1].charge_id)
        assert ("duplicate_charge", "network_duplicate", 1) in found(log.audit())


def test_a_copy_that_was_answered_by_the_record_made_nothing() -> None:
    """A replayed copy leaves the customer's own retry to blame."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    commands = [log.command("k", metadata={"intent": "i-1"}) for _ in range(2)]
    for attempt, command in enumerate(commands, start=1):
        log.sent("i-1", command, attempt)
        log.heard("i-1", log.executed(command, only="event reply"), attempt)
    copied(log, commands[1].charge_id, replayed=True)
    assert ("duplicate_charge", "client_retry", 1) in found(log.audit())


def unheard(log: WrittenLog, intent: str | None, key: str | None, request: str = "POST /v1/charges") -> None:
    """A copy arrived, and its own answer did not come."""
    detail = {"manner": "copy", "request": request, "idempotency_key": key, "intent": intent, "status": None}
    log.fault("deliver_late", "hit", made=None, replayed=None, **detail)


def causes(log: WrittenLog) -> list[str | None]:
    return [cause for name, cause, count in found(log.audit()) if name == "duplicate_charge" for _ in range(count)]


@pytest.mark.parametrize("heard", [0, 1, None])
@pytest.mark.parametrize("key", ["k", None])
def test_a_copy_without_an_answer_is_known_by_counting(heard: int | None, key: str | None) -> None:
    """The customer asked once, and twice was executed: whatever he heard, the other one is the network's."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    commands = [log.command(key, metadata={"intent": "i-1"}) for _ in range(2)]
    log.sent("i-1", commands[0])
    answers = [log.executed(command, only="event reply") for command in commands]
    if heard is not None:
        log.heard("i-1", answers[heard])
    unheard(log, "i-1", key)
    assert causes(log) == ["network_duplicate"]
    repeated = log.audit().repeats[0].charge_id
    assert repeated == commands[1 if heard is None else 1 - heard].charge_id


def test_a_copy_that_may_have_done_nothing_proves_nothing() -> None:
    """The customer asked twice, and so often it was executed: his own retry is reason enough."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    commands = [log.command("k", metadata={"intent": "i-1"}) for _ in range(2)]
    for attempt, command in enumerate(commands, start=1):
        log.sent("i-1", command, attempt)
        log.unknown("i-1", attempt)
        log.executed(command, only="event reply")
    unheard(log, "i-1", "k")
    assert causes(log) == ["client_retry"]


def test_of_three_executions_each_has_its_cause() -> None:
    """Two requests of the customer, one resent by his library, and one copy: the copy is the fourth."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    commands = [log.command("k", metadata={"intent": "i-1"}) for _ in range(4)]
    for attempt, command in enumerate(commands[:2], start=1):
        log.sent("i-1", command, attempt)
        log.unknown("i-1", attempt)
    log._line("resend", intent="i-1", attempt=2, gateway="g")
    for command in commands:
        log.executed(command, only="event reply")
    unheard(log, "i-1", "k")
    assert causes(log) == ["client_retry", "client_retry", "network_duplicate"]


def test_a_copy_of_another_request_explains_nothing() -> None:
    """It had another key, another intent, or was about another charge."""
    for intent, key, request in (("i-1", "other", "POST /v1/charges"), ("i-2", "k", "POST /v1/charges")):
        log = WrittenLog("at-least-once")
        log.meant("i-1")
        commands = [log.command("k", metadata={"intent": "i-1"}) for _ in range(2)]
        log.sent("i-1", commands[0])
        for command in commands:
            log.executed(command, only="event reply")
        unheard(log, intent, key, request)
        assert causes(log) == ["client_retry"]


def test_a_copied_refund_is_known_by_its_charge() -> None:
    """A refund's body names no intent; its path names the charge."""
    for about, expected in ((None, "network_duplicate"), ("ch_other", "client_retry")):
        log = WrittenLog("at-least-once")
        log.meant("i-1")
        paid = log.command("k", metadata={"intent": "i-1"})
        log.sent("i-1", paid)
        log.heard("i-1", log.executed(paid, only="event reply"))
        log.meant("i-2", "refund.create", charge_id=paid.charge_id, amount=100)
        refunds = [log.command("r", "refund.create", charge_id=paid.charge_id, amount=100) for _ in range(2)]
        log.sent("i-2", refunds[0])
        for refund in refunds:
            log.executed(refund, only="event reply")
        unheard(log, None, "r", f"POST /v1/charges/{about or paid.charge_id}/refunds")
        assert causes(log) == [expected]


def test_a_command_that_stands_on_the_log_twice_is_told_apart_from_a_crash() -> None:
    """A copy of the record, appended before the second execution, is what ran again."""
    log = WrittenLog("at-least-once")
    command = log.command("k")
    log.executed(command, only="event reply")
    log.again(command)
    log.event_again(command)
    assert ("duplicate_charge", "duplicate_command", 1) in found(log.audit())
