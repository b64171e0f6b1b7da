"""over_refund: more given back than was taken; and what looks like it and is not."""

import pytest

from tests.support.written_log import WrittenLog, found


@pytest.mark.parametrize(("amounts", "beyond"), [((500,), 0), ((200, 300), 0), ((501,), 1), ((300, 300, 50), 150)])
def test_refunds_together_may_give_back_what_was_taken(amounts: tuple[int, ...], beyond: int) -> None:
    """In one or in parts; what goes beyond is at stake."""
    log = WrittenLog("at-least-once")
    sale = log.command("sale")
    log.executed(sale, only="event reply")
    for number, amount in enumerate(amounts):
        refund = log.command(f"k{number}", "refund.create", charge_id=sale.charge_id, amount=amount)
        log.executed(refund, only="event reply")
    report = log.audit()
    money = [anomaly.money for anomaly in report.anomalies if anomaly.name == "over_refund"]
    assert money == ([{"eur": beyond}] if beyond else [])


def test_what_was_only_held_cannot_go_back() -> None:
    """Before its capture a hold is not the merchant's to give back."""
    log = WrittenLog("at-least-once")
    held = log.command("k1", capture=False)
    log.executed(held, only="event reply")
    log.executed(log.command("k2", "refund.create", charge_id=held.charge_id, amount=200), only="event reply")
    assert ("over_refund", None, 1) in found(log.audit())


def test_only_what_was_captured_of_a_hold_can_go_back() -> None:
    """A hold of 500 of which 300 were captured can be refunded with 300."""
    log = WrittenLog("at-least-once")
    held = log.command("k1", capture=False)
    log.executed(held, only="event reply")
    log.executed(log.command("k2", "charge.capture", charge_id=held.charge_id, amount=300), only="event reply")
    log.executed(log.command("k3", "refund.create", charge_id=held.charge_id, amount=301), only="event reply")
    report = log.audit()
    assert found(report) == [("over_refund", None, 1)]
    assert report.money_at_stake == {"eur": 1}


def test_a_refund_recorded_again_is_a_duplicate_alone() -> None:
    """The same event twice is one refund, executed twice."""
    log = WrittenLog("deduplicated")
    sale = log.command("k1")
    log.executed(sale)
    refund = log.command("k2", "refund.create", charge_id=sale.charge_id, amount=300)
    log.executed(refund)
    log.event_again(refund)
    assert found(log.audit()) == [("duplicate_charge", "crash_redelivery", 1)]


def test_a_refund_of_nobody_is_a_phantom_alone() -> None:
    """Somebody else's record about our charge does not use up what can be refunded."""
    log = WrittenLog("at-least-once")
    sale = log.command("k1")
    log.executed(sale, only="event reply")
    stranger = WrittenLog().command("x", command_id="99999999-0000-7000-8000-000000000000")
    value = {"type": "charge.refunded", "amount": 400, "currency": "eur", "sequence": 2, "data": {"charge": {}}}
    log.event(stranger, charge_id=sale.charge_id, **value)
    log.executed(log.command("k2", "refund.create", charge_id=sale.charge_id, amount=400), only="event reply")
    assert found(log.audit()) == [("phantom_charge", None, 1)]
