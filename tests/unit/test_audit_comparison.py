"""The three witnesses of each intent: what is counted, who disagrees, how long nobody knew."""

import pytest

from simulator.audit.comparison import Belief, Certainty, Comparison, Deliveries, Disagreement, KeySays, Kind, agree
from tests.support.written_log import Asked, WrittenLog, canonical

YES, NO, UNKNOWN, NOT_SENT, UNHEARD = Belief
SUCCESS, REFUSAL, OTHER, EXPIRED, NOTHING = KeySays


def bought(log: WrittenLog, name: str, key: str, attempt: int = 1, **payload: object) -> Asked:
    if attempt == 1:
        log.meant(name, **payload)
    command = log.command(key, metadata={"intent": name}, **payload)
    log.sent(name, command, attempt)
    return command


def test_what_went_well_agrees() -> None:
    """A success, a decline, and a retry that was answered from the key."""
    log = WrittenLog()
    for name, payload in (("i-1", {}), ("i-2", {"payment_method": "pm_card_expired"})):
        log.heard(name, log.executed(bought(log, name, name, **payload)))
    first = bought(log, "i-3", "k3")
    log.unknown("i-3")
    answer = log.executed(first)
    again = bought(log, "i-3", "k3", 2)
    log.reply(again, 201, answer["body"], replayed=True)
    log.heard("i-3", answer, 2, replayed=True)
    report = log.audit()
    assert report.verdict == "valid"
    compared = report.comparison
    assert (compared.intents, compared.disagree, compared.disagreeing) == (3, 0, ())
    assert compared.deliveries == (Deliveries(1, 0, 1), Deliveries(1, 1, 1), Deliveries(2, 1, 1))
    assert compared.kinds == (Kind(YES, SUCCESS, 1, True, 2), Kind(NO, REFUSAL, 0, True, 1))


def test_delivered_twice_and_executed_twice_disagrees() -> None:
    """Whatever the customer believes, he meant it once; the second execution is at stake."""
    log = WrittenLog("at-least-once")
    for attempt in (1, 2):
        command = bought(log, "i-1", "k1", attempt)
        answer = log.executed(command, only="event reply")
        log.unknown("i-1") if attempt == 1 else log.heard("i-1", answer, 2)
    compared = log.audit().comparison
    assert compared.disagreeing == (
        Disagreement("i-1", "charge.create", YES, NOTHING, delivered=2, executed=2, money={"eur": 500}),
    )
    assert compared.kinds == (Kind(YES, NOTHING, 2, False, 1, {"eur": 500}),)


def test_a_customer_who_was_told_yes_for_nothing_disagrees() -> None:
    """What should have been charged is at stake."""
    log = WrittenLog("at-most-once")
    log.heard("i-1", log.executed(bought(log, "i-1", "k1"), only="reply"))
    (one,) = log.audit().comparison.disagreeing
    assert (one.belief, one.delivered, one.executed, one.money) == (YES, 1, 0, {"eur": 500})


def test_a_customer_who_was_told_no_and_charged_disagrees() -> None:
    """A refusal under a second key, while the first was executed unseen."""
    log = WrittenLog("at-least-once")
    log.executed(bought(log, "i-1", "k1"), only="event reply")
    log.unknown("i-1")
    refused = bought(log, "i-1", "k2", 2)
    body = canonical({"status": 404, "code": "charge_not_found"})
    log.reply(refused, 404, body)
    log.heard("i-1", {"status": 404, "body": body}, 2)
    (one,) = log.audit().comparison.disagreeing
    assert (one.belief, one.delivered, one.executed, one.money) == (NO, 2, 1, {"eur": 500})


def test_a_key_of_another_request_agrees_with_a_refusal() -> None:
    """Its customer got 422, nothing was executed, and the key stands for somebody else's purchase."""
    log = WrittenLog()
    log.heard("i-1", log.executed(bought(log, "i-1", "k1")))
    command = bought(log, "i-2", "k1", amount=700)
    log.refused(command, 422, "idempotency_key_reused")
    log.heard("i-2", {"status": 422, "body": canonical({"status": 422, "code": "idempotency_key_reused"})})
    compared = log.audit().comparison
    assert (compared.disagree, {kind.key for kind in compared.kinds}) == (0, {SUCCESS, OTHER})


def test_an_expired_key_says_nothing_against_anybody() -> None:
    """Its tombstone, or its absence after the window, is what was promised."""
    log = WrittenLog(ttl_ms=1_000)
    one = log.command("k1")
    log.executed(one)
    log.tombstone(one)
    log.executed(log.command("k2"), only="event reply")
    log.now += 2_000
    log.executed(log.command("k3"))
    compared = log.audit().comparison
    assert {(kind.key, kind.agrees, kind.intents) for kind in compared.kinds} == {
        (EXPIRED, True, 2),
        (SUCCESS, True, 1),
    }
    assert all(kind.belief is UNHEARD for kind in compared.kinds)


def test_a_request_that_never_came_is_no_command() -> None:
    """Delivered 0 times, executed 0 times, and the customer knows it."""
    log = WrittenLog()
    log.executed(log.command("other"))
    log.meant("i-1")
    elsewhere = WrittenLog().command("k1")
    log.sent("i-1", elsewhere)
    log._line("fail", intent="i-1", attempt=1, status=503, reason="the gateway was not available")
    compared = log.audit().comparison
    assert compared.kinds == (Kind(NOT_SENT, NOTHING, 0, True, 1),)


@pytest.mark.parametrize(
    ("belief", "key", "executed", "keys_decide", "expected"),
    [
        (YES, SUCCESS, 1, True, True),
        (UNKNOWN, SUCCESS, 1, True, True),
        (UNKNOWN, NOTHING, 0, True, True),
        (NO, REFUSAL, 0, True, True),
        (YES, NOTHING, 1, True, False),  # the key was forgotten
        (YES, NOTHING, 1, False, True),  # no key was promised
        (UNHEARD, SUCCESS, 0, True, False),  # a key without its charge
        (NOT_SENT, SUCCESS, 1, True, False),  # provably not sent, and done
        (YES, SUCCESS, 2, True, False),
        (YES, SUCCESS, 0, False, False),
    ],
)
def test_when_all_three_can_be_true(
    belief: Belief, key: KeySays, executed: int, keys_decide: bool, expected: bool
) -> None:
    """The table of what fits together."""
    assert agree(belief, key, executed, keys_decide=keys_decide) is expected


def test_requests_that_waited_side_by_side_succeeded_each() -> None:
    """Two were sent before either was on the log; both answers were lost, and each command is one of the two."""
    log = WrittenLog()
    log.meant("i-1")
    asked = Asked("not-yet", "charge.create", "k1", {}, -1, 0)
    for attempt in (1, 2):
        log.sent("i-1", asked, attempt)
    answer = log.executed(log.command("k1", metadata={"intent": "i-1"}))
    log.reply(log.command("k1", metadata={"intent": "i-1"}), 201, answer["body"], replayed=True)
    for attempt in (1, 2):
        log.unknown("i-1", attempt)
    certainty = log.audit().comparison.certainty
    assert (certainty.attempts_unknown, certainty.attempts_succeeded) == (2, 2)


def test_unknown_outcomes_that_had_succeeded_and_how_long_nobody_knew() -> None:
    """One timeout had succeeded, one had not, and one customer went away for ever."""
    log = WrittenLog()
    first = bought(log, "i-1", "k1")
    answer = log.executed(first)
    log.unknown("i-1")
    since = log.now
    log.now += 400
    log.reply(bought(log, "i-1", "k1", 2), 201, answer["body"], replayed=True)
    log.heard("i-1", answer, 2, replayed=True)
    waited = log.now - since
    log.meant("i-2")
    lost = Asked("never-arrived", "charge.create", "k2", {}, -1, 0)
    log.sent("i-2", lost)
    log.unknown("i-2")
    log.heard("i-2", log.executed(bought(log, "i-2", "k2", 2)), 2)
    log.executed(bought(log, "i-3", "k3", amount=900))
    log.unknown("i-3")
    certainty = log.audit().comparison.certainty
    assert (certainty.attempts_unknown, certainty.attempts_succeeded) == (3, 2)
    assert certainty.share_succeeded == pytest.approx(2 / 3)
    assert (certainty.intents_unknown, certainty.intents_settled, certainty.never_settled) == (3, 2, 1)
    assert (certainty.max_ms, certainty.p99_ms) == (waited, waited)
    assert certainty.p50_ms is not None
    assert certainty.p50_ms < waited
    assert certainty.money_unsettled == {"eur": 900}


def test_without_a_timeout_there_is_nothing_to_be_uncertain_about() -> None:
    """No percentile is made up."""
    log = WrittenLog()
    log.heard("i-1", log.executed(bought(log, "i-1", "k1")))
    assert log.audit().comparison.certainty == Certainty()
    assert Certainty().share_succeeded is None


def test_comparisons_of_separate_logs_add_up() -> None:
    """As if both had been one."""

    def one(executions: int) -> Comparison:
        log = WrittenLog("at-least-once")
        for _ in range(executions):
            log.executed(log.command("k"), only="event reply")
        return log.audit().comparison

    both = one(1) + one(2) + one(2)
    assert (both.intents, both.disagree, len(both.disagreeing)) == (3, 2, 2)
    assert both.deliveries == (Deliveries(1, 1, 1), Deliveries(2, 2, 2))
    assert both.kinds == (
        Kind(UNHEARD, NOTHING, 2, False, 2, {"eur": 1000}),
        Kind(UNHEARD, NOTHING, 1, True, 1),
    )
