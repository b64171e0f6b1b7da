"""illegal_transition: a charge in a status it cannot have come to; and what looks like it and is not."""

import pytest

from tests.support.written_log import Asked, WrittenLog, found


def convicted(log: WrittenLog) -> int:
    return log.audit().found("illegal_transition")


def held(log: WrittenLog, key: str = "hold") -> Asked:
    asked = log.command(key, capture=False)
    log.executed(asked)
    return asked


def done(log: WrittenLog, operation: str, charge: Asked, key: str, **payload: object) -> Asked:
    asked = log.command(key, operation, charge_id=charge.charge_id, **payload)
    log.executed(asked, only="event reply")
    return asked


def test_every_allowed_life_is_allowed() -> None:
    """Held, captured in part, refunded in parts; held and let go; declined; sold at once."""
    log = WrittenLog()
    one = held(log, "k1")
    for key, operation, amount in (("k2", "charge.capture", 400), ("k3", "refund.create", 100)):
        log.executed(log.command(key, operation, charge_id=one.charge_id, amount=amount))
    log.executed(log.command("k4", "refund.create", charge_id=one.charge_id))
    other = held(log, "k5")
    log.executed(log.command("k6", "charge.void", charge_id=other.charge_id))
    log.executed(log.command("k7", payment_method="pm_card_expired"))
    log.executed(log.command("k8"))
    report = log.audit()
    assert (found(report), report.verdict) == ([], "valid")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("charge.void", "charge.capture"),
        ("charge.capture", "charge.void"),
        ("charge.capture", "charge.capture"),
        ("charge.void", "charge.void"),
        (None, "refund.create"),
    ],
)
def test_what_the_status_does_not_allow_is_illegal(first: str | None, then: str) -> None:
    """Whatever the guarantee: no processor may do this to a charge."""
    log = WrittenLog("at-least-once")
    charge = held(log)
    if first is not None:
        done(log, first, charge, "k1")
    done(log, then, charge, "k2", amount=100)
    assert convicted(log) == 1


def test_a_declined_charge_allows_nothing() -> None:
    """There is nothing to give back of what was never taken."""
    log = WrittenLog("at-least-once")
    declined = log.command("k1", payment_method="pm_card_declined")
    log.executed(declined, only="event reply")
    done(log, "refund.create", declined, "k2", amount=100)
    assert convicted(log) == 1


@pytest.mark.parametrize("sequence", [1, 3])
def test_a_sequence_must_be_the_next_one(sequence: int) -> None:
    """A number left out or used twice by two commands is no plain duplicate."""
    log = WrittenLog("at-least-once")
    charge = held(log)
    log.sequences[charge.charge_id] = sequence - 1
    capture = done(log, "charge.capture", charge, "k1")
    report = log.audit()
    assert found(report) == [("illegal_transition", None, 1)]
    witness = report.anomalies[0].witnesses[0]
    assert witness.summary.endswith(f"has sequence {sequence}, after 1.")
    assert witness.money == {"eur": 500}
    assert ("commands", capture.offset) in [(place.topic, place.offset) for place in witness.places]


def test_a_charge_begins_with_its_creation() -> None:
    """A capture of a charge that has no event before it comes from nowhere."""
    log = WrittenLog("at-least-once")
    charge = log.command("k1", capture=False)
    log.executed(charge, only="reply")
    done(log, "charge.capture", charge, "k2")
    assert convicted(log) == 1


def test_the_first_event_is_number_one() -> None:
    """A charge that begins with 2 misses its beginning."""
    log = WrittenLog("at-least-once")
    charge = log.command("k1")
    log.sequences[charge.charge_id] = 1
    log.executed(charge, only="event reply")
    assert convicted(log) == 1


def test_plain_duplicates_and_what_follows_from_them_are_legal() -> None:
    """A command executed again goes on from where it was: its charge may live the same life twice."""
    log = WrittenLog("deduplicated")
    charge = held(log)
    capture = log.command("k1", "charge.capture", charge_id=charge.charge_id)
    log.executed(capture)
    log.event_again(charge)
    log.event_again(capture)
    refund = log.command("k2", "refund.create", charge_id=charge.charge_id, amount=100)
    log.executed(refund)
    log.event_again(capture)
    log.event_again(refund)
    log.executed(log.command("k3", "refund.create", charge_id=charge.charge_id, amount=100))
    assert found(log.audit()) == [("duplicate_charge", "crash_redelivery", 4)]


def test_only_the_first_illegal_step_is_told() -> None:
    """What comes after rests on it."""
    log = WrittenLog("at-least-once")
    charge = held(log)
    for number, operation in enumerate(("charge.void", "charge.capture", "charge.capture")):
        done(log, operation, charge, f"k{number}")
    report = log.audit()
    assert report.found("illegal_transition") == 1
    (anomaly,) = (anomaly for anomaly in report.anomalies if anomaly.name == "illegal_transition")
    assert "happened in the status voided" in anomaly.witnesses[0].summary


def test_a_deleted_beginning_convicts_nobody() -> None:
    """Where `charges` does not begin at 0 the creation may have been there."""
    log = WrittenLog("at-least-once", starts={"charges": 5})
    charge = log.command("k1", capture=False)
    log.executed(charge, only="reply")
    done(log, "charge.capture", charge, "k2")
    assert convicted(log) == 0


def test_an_open_kafka_transaction_convicts_nobody() -> None:
    """The missing step may be in it."""
    log = WrittenLog("at-least-once")
    charge = log.command("k1", capture=False)
    log.executed(charge, only="reply")
    done(log, "charge.capture", charge, "k2")
    log.open_topics.add("charges")
    assert convicted(log) == 0


def test_an_event_of_nobody_is_a_phantom_and_no_step() -> None:
    """Somebody else's record about our charge neither convicts nor confuses its life."""
    log = WrittenLog("at-least-once")
    charge = held(log)
    elsewhere = WrittenLog()
    stranger = elsewhere.command("x", command_id="99999999-0000-7000-8000-000000000000")
    value = {"type": "charge.voided", "amount": 500, "currency": "eur", "sequence": 2, "data": {"charge": {}}}
    log.event(stranger, charge_id=charge.charge_id, **value)
    done(log, "charge.capture", charge, "k1")
    assert found(log.audit()) == [("phantom_charge", None, 1)]
