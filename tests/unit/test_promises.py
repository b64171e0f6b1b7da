"""What each guarantee must show, judged on reports of a few numbers."""

import pytest

from simulator.audit.report import Anomaly, Counts, Report, Verdict
from simulator.promises import missing

BITTEN = {
    name: {"injected": 3, "bitten": 3} for name in ("kill_processor", "lose_request", "lose_response", "rewind_offsets")
}
ALL_CAUSES = ("client_retry", "crash_redelivery", "rewind")


def report(verdict: Verdict = Verdict.VALID, causes: tuple[str, ...] = (), aborted: int = 5) -> Report:
    duplicates = tuple(Anomaly("duplicate_charge", cause, 2, {}, ()) for cause in causes)
    counts = Counts(aborted_records={"charges": aborted} if aborted else {})
    return Report(verdict, "", "payments", counts, duplicates, (), (), {})


def test_exactly_once_must_be_valid_and_have_been_hurt() -> None:
    """A valid verdict with every fault bitten and aborted records on the log is the proof."""
    assert missing("exactly-once", report(), BITTEN) == []


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.INVALID])
def test_exactly_once_without_a_valid_verdict_proves_nothing(verdict: Verdict) -> None:
    """Unknown is no pass."""
    assert missing("exactly-once", report(verdict), BITTEN) == [f"the verdict is {verdict.value}"]


def test_exactly_once_without_aborted_records_was_never_killed_in_mid_transaction() -> None:
    """Without aborted records the kills hit nothing."""
    assert missing("exactly-once", report(aborted=0), BITTEN) == ["the log has no aborted record"]


@pytest.mark.parametrize("name", sorted(BITTEN))
def test_a_fault_that_bit_too_rarely_is_missing(name: str) -> None:
    """Every fault must have bitten, the kill twice."""
    faults = {**BITTEN, name: {"injected": 3, "bitten": 0}}
    assert [reason.split()[0] for reason in missing("exactly-once", report(), faults)] == [name]


@pytest.mark.parametrize("absent", ALL_CAUSES)
def test_at_least_once_must_repeat_by_every_cause(absent: str) -> None:
    """All three causes of duplicates must have been seen."""
    assert missing("at-least-once", report(Verdict.INVALID, ALL_CAUSES), BITTEN) == []
    some = tuple(cause for cause in ALL_CAUSES if cause != absent)
    assert len(missing("at-least-once", report(Verdict.INVALID, some), BITTEN)) == 1


def test_deduplicated_must_repeat_by_a_crash_and_never_by_a_retry() -> None:
    """The key record heals the client's retry, and nothing ties it to the charge."""
    assert missing("deduplicated", report(Verdict.INVALID, ("crash_redelivery",)), BITTEN) == []
    assert len(missing("deduplicated", report(Verdict.INVALID, ("client_retry",)), BITTEN)) == 2


def test_at_most_once_must_not_repeat_by_a_crash() -> None:
    """Offsets come first, so a crash loses and never repeats."""
    assert missing("at-most-once", report(Verdict.INVALID, ("client_retry", "rewind")), BITTEN) == []
    assert missing("at-most-once", report(Verdict.INVALID, ("crash_redelivery",)), BITTEN) == [
        "a crash repeated a charge"
    ]


def test_faults_that_were_not_chosen_are_not_missed() -> None:
    """A run without rewinds owes no rewound charge."""
    faults = {"lose_response": {"injected": 1, "bitten": 1}}
    assert missing("at-least-once", report(Verdict.INVALID, ("client_retry",)), faults) == []


def test_no_more_bites_are_asked_for_than_strikes_were_planned() -> None:
    """A scenario that kills once has shown what it plans when that kill bit."""
    once = {"kill_processor": {"injected": 1, "bitten": 1}}
    assert not [reason for reason in missing("deduplicated", report(), once) if "bit" in reason.split()]
    never = {"kill_processor": {"injected": 1, "bitten": 0}}
    assert "kill_processor bit 0 times instead of 1" in missing("deduplicated", report(), never)


def test_clients_that_use_two_keys_do_not_break_exactly_once() -> None:
    """Every key was honoured; anything else beside it is the system's."""
    assert missing("exactly-once", report(Verdict.INVALID, ("new_key",)), BITTEN) == []
    assert missing("exactly-once", report(Verdict.INVALID, ("new_key", "rewind")), BITTEN) == ["the verdict is invalid"]
