"""Which faults fit a run, told before it: under which guarantee, on whose Kafka."""

import pytest

from events.guarantees import Guarantee
from simulator.failure import UsageFailure
from simulator.faults import FAULTS
from simulator.faults.fitting import fitting, left_out, needs_kafka_link, refuse_without_heirs, refuse_without_own_kafka
from simulator.faults.kill_ledger import KillLedger
from simulator.faults.late_end_txn import LateEndTxn
from simulator.faults.lose_end_txn_answer import LoseEndTxnAnswer
from simulator.faults.slow_broker_link import SlowBrokerLink
from simulator.scenario.preview import lines, preview
from simulator.scenario.reading import read_text, shipped

SOME = (KillLedger(), LateEndTxn(), SlowBrokerLink(), LateEndTxn(at=("3s",)))


def test_a_fault_that_has_nothing_to_bite_is_left_out_and_told_once() -> None:
    """There is no EndTxn below exactly-once."""
    assert fitting(SOME, Guarantee.EXACTLY_ONCE) == SOME
    assert left_out(SOME, Guarantee.EXACTLY_ONCE) == []
    assert fitting(SOME, Guarantee.DEDUPLICATED) == (SOME[0], SOME[2])
    (told,) = left_out(SOME, Guarantee.DEDUPLICATED)
    assert told == "late_end_txn is left out: what it strikes is there only under exactly-once, not deduplicated."


@pytest.mark.parametrize(
    ("faults", "guarantee", "needed"),
    [
        (SOME[:1], Guarantee.EXACTLY_ONCE, False),
        (SOME[:2], Guarantee.EXACTLY_ONCE, True),
        (SOME[:2], Guarantee.AT_LEAST_ONCE, False),
        (SOME, Guarantee.AT_LEAST_ONCE, True),
    ],
)
def test_a_proxy_is_started_only_for_a_fault_that_will_strike(
    faults: tuple[KillLedger, ...], guarantee: Guarantee, needed: bool
) -> None:
    """A run without such a fault goes straight to its broker."""
    assert needs_kafka_link(faults, guarantee) is needed


def test_somebody_elses_kafka_cannot_be_put_behind_a_proxy() -> None:
    """Said in one short sentence: how many kinds of faults, the first of them, and what to do; others are welcome."""
    refuse_without_own_kafka(SOME[:1], "--target")
    with pytest.raises(UsageFailure) as refused:
        refuse_without_own_kafka(SOME, "--kafka there:9092")
    assert str(refused.value) == (
        "2 kinds of faults between services and Kafka (late_end_txn, slow_broker_link) cannot be done on somebody "
        "else's Kafka: run it without --kafka there:9092."
    )
    with pytest.raises(UsageFailure, match=r"^10 kinds .* \((\w+, ){3}…\) cannot be done"):
        refuse_without_own_kafka(shipped()["broken-wires"].faults, "--target")


def test_a_fault_that_needs_an_heir_is_refused_where_there_is_none() -> None:
    """Before anything starts: such a run could only ever end as unknown."""
    refuse_without_heirs(SOME, 1)
    refuse_without_heirs(shipped()["zombie"].faults, 2)
    with pytest.raises(UsageFailure, match=r"^pause_processor needs 2 processors, .* this run has 1: "):
        refuse_without_heirs(shipped()["zombie"].faults, 1)


def test_the_plan_says_what_is_left_out() -> None:
    """And does not plan it."""
    scenario = read_text(
        "name: x\nsystem: {guarantee: at-least-once}\nload: {stages: [{for: 9s, rate: 1}]}\n"
        "faults: [late_end_txn, kill_ledger]",
        "x.yaml",
    )
    told = preview(scenario, 1)
    assert {strike["fault"] for strike in told["faults"]} == {"kill_ledger"}
    assert any(line.startswith("late_end_txn is left out") for line in lines(told))


def test_every_fault_has_a_guarantee_under_which_it_bites() -> None:
    """And the two that strike EndTxn know the only one."""
    assert all(fault.under for fault in FAULTS)
    assert LoseEndTxnAnswer.under == LateEndTxn.under == {Guarantee.EXACTLY_ONCE}
