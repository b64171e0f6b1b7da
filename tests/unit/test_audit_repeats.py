"""Each execution beyond the first, one by one, adds up to what the report counts."""

from collections import Counter

from tests.support.written_log import WrittenLog


def test_repeats_are_the_duplicates_with_their_money_and_place() -> None:
    """As many by cause as counted, their money what is overcharged, and each names its own record."""
    log = WrittenLog("at-least-once")
    for key in ("a", "b"):
        log.executed(log.command(key), only="event reply")
        log.executed(log.command(key), only="event reply")
    asked = log.command("c", amount=70)
    log.executed(asked, only="event reply")
    log.event_again(asked)
    report = log.audit()
    assert dict(Counter(one.cause for one in report.repeats)) == {"client_retry": 2, "crash_redelivery": 1}
    assert (
        sum(one.amount for one in report.repeats if one.effect == "taken") == report.counts.overcharged["eur"] == 1_070
    )
    assert [one.offset for one in report.repeats] == [1, 3, 5]
    assert [one.first_offset for one in report.repeats] == [0, 2, 4]
    assert all(one.asked_at < one.at for one in report.repeats)


def test_what_is_held_again_is_not_taken() -> None:
    """A second hold costs nothing for good, and its effect says so."""
    log = WrittenLog("at-least-once")
    for _ in range(2):
        log.executed(log.command("k", capture=False), only="event reply")
    report = log.audit()
    assert [one.effect for one in report.repeats] == ["held"]
    assert report.counts.overcharged == {}
    assert report.counts.overheld == {"eur": 500}


def test_a_right_log_has_none() -> None:
    """A retry that was answered from its key is no execution."""
    log = WrittenLog()
    first = log.command("k")
    body = log.executed(first)["body"]
    log.reply(log.command("k"), 201, body, replayed=True)
    assert log.audit().repeats == ()
