"""over_capture: more taken than was held; and what looks like it and is not."""

import pytest

from tests.support.written_log import WrittenLog, found


@pytest.mark.parametrize(("amount", "beyond"), [(500, None), (499, None), (501, 1), (900, 400)])
def test_a_capture_may_take_what_was_held(amount: int, beyond: int | None) -> None:
    """All of it or a part; a minor unit more is over-captured, and that unit is at stake."""
    log = WrittenLog("at-least-once")
    held = log.command("k1", capture=False)
    log.executed(held, only="event reply")
    log.executed(log.command("k2", "charge.capture", charge_id=held.charge_id, amount=amount), only="event reply")
    report = log.audit()
    assert found(report) == ([("over_capture", None, 1)] if beyond else [])
    assert [anomaly.money for anomaly in report.anomalies] == ([{"eur": beyond}] if beyond else [])


def test_captures_count_together() -> None:
    """Two captures of 300 by two commands take 600 of a hold of 500."""
    log = WrittenLog("at-least-once")
    held = log.command("k1", capture=False)
    log.executed(held, only="event reply")
    for key in ("k2", "k3"):
        capture = log.command(key, "charge.capture", charge_id=held.charge_id, amount=300)
        log.executed(capture, only="event reply")
    report = log.audit()
    assert report.found("over_capture") == 1
    (anomaly,) = (anomaly for anomaly in report.anomalies if anomaly.name == "over_capture")
    assert anomaly.money == {"eur": 100}
    assert [place.topic for place in anomaly.witnesses[0].places] == ["commands"] * 3 + ["charges"] * 3


@pytest.mark.parametrize("payload", [{"payment_method": "pm_card_declined"}, {"capture": False}])
def test_what_was_declined_or_let_go_is_not_there_to_be_taken(payload: dict[str, object]) -> None:
    """After a decline or a void nothing is held."""
    log = WrittenLog("at-least-once")
    charge = log.command("k1", **payload)
    log.executed(charge, only="event reply")
    if "capture" in payload:
        log.executed(log.command("k2", "charge.void", charge_id=charge.charge_id), only="event reply")
    log.executed(log.command("k3", "charge.capture", charge_id=charge.charge_id, amount=200), only="event reply")
    report = log.audit()
    assert report.found("over_capture") == 1
    assert report.found("illegal_transition") == 1


def test_another_currency_was_never_held() -> None:
    """500 of one currency do not cover 500 of another."""
    log = WrittenLog("at-least-once")
    held = log.command("k1", capture=False)
    log.executed(held, only="event reply")
    capture = log.command("k2", "charge.capture", charge_id=held.charge_id)
    members = log._outcome(capture)[2]
    assert members is not None
    log.event(capture, **(members | {"currency": "jpy"}))
    assert log.audit().found("over_capture") == 1


def test_a_capture_recorded_again_is_a_duplicate_alone() -> None:
    """The same event twice is one capture, executed twice."""
    log = WrittenLog("deduplicated")
    held = log.command("k1", capture=False)
    log.executed(held)
    capture = log.command("k2", "charge.capture", charge_id=held.charge_id)
    log.executed(capture)
    log.event_again(capture)
    assert found(log.audit()) == [("duplicate_charge", "crash_redelivery", 1)]


def test_an_unknown_hold_convicts_nobody() -> None:
    """Where the beginning of `charges` was deleted, nobody knows what was held."""
    log = WrittenLog("at-least-once", starts={"charges": 1})
    held = log.command("k1", capture=False)
    log.executed(held, only="reply")
    log.executed(log.command("k2", "charge.capture", charge_id=held.charge_id, amount=900), only="event reply")
    assert log.audit().found("over_capture") == 0
