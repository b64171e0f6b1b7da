"""The plan of faults is a function of its arguments, and strikes with everything in time."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.faults import BY_NAME, FAULTS
from simulator.faults.plan import LAST_S, LAST_SHARE, plan_strikes
from simulator.scenario.reading import find

seeds = st.integers(min_value=0, max_value=2**63)
durations = st.floats(min_value=2.0, max_value=300.0)
EVERY = tuple(fault() for fault in FAULTS)


@given(seeds, durations)
@settings(max_examples=50, deadline=None)
def test_the_same_seed_gives_the_same_strikes(seed: int, duration_s: float) -> None:
    """Two plans of one seed are equal, in order, with every fault in each."""
    strikes = plan_strikes(seed, duration_s, EVERY)
    assert strikes == plan_strikes(seed, duration_s, EVERY)
    assert sorted(strike.at_s for strike in strikes) == [strike.at_s for strike in strikes]
    assert {strike.fault.name for strike in strikes} == set(BY_NAME)


@given(seeds, durations)
@settings(max_examples=50, deadline=None)
def test_every_strike_leaves_time_to_be_seen(seed: int, duration_s: float) -> None:
    """Nothing begins before the run or in its last moments, and nothing lasts beyond it."""
    for strike in plan_strikes(seed, duration_s, EVERY):
        assert 0.0 < strike.at_s < max(LAST_SHARE * duration_s, duration_s - LAST_S) * 1.15
        assert strike.lasts_s <= 0.3 * duration_s


def test_a_demo_kills_more_than_twice_and_rewinds_more_than_once() -> None:
    """Half a minute has room for every fault several times."""
    counts = Counter(strike.fault.name for strike in plan_strikes(1, 30.0, find("checkout").faults))
    assert counts["kill_processor"] >= 3
    assert counts["rewind_offsets"] >= 2
    assert counts["lose_request"] >= 3
    assert counts["lose_response"] >= 3


def test_leaving_a_fault_out_moves_no_other() -> None:
    """Each fault has its own source of chance."""
    without = [fault for fault in EVERY if fault.name != "lose_request"]
    assert plan_strikes(3, 30.0, without) == tuple(
        strike for strike in plan_strikes(3, 30.0, EVERY) if strike.fault.name != "lose_request"
    )


def test_names_are_said_once() -> None:
    """Two faults of one name could not be told apart in a history."""
    assert len(BY_NAME) == len(FAULTS)


def test_named_instants_are_kept_to_the_letter() -> None:
    """`at` is no suggestion: neither jitter nor a short run moves it."""
    (kind, *_) = FAULTS
    strikes = plan_strikes(9, 10.0, [kind(at=("9s", "500ms"), lasts="7s")])
    assert [(strike.at_s, strike.number, strike.lasts_s) for strike in strikes] == [(0.5, 2, 7.0), (9.0, 1, 7.0)]


def test_a_fault_listed_twice_strikes_as_both_say() -> None:
    """Its strikes are numbered through, so that a history can tell them apart."""
    (kind, *_) = FAULTS
    strikes = plan_strikes(9, 30.0, [kind(at=("1s",)), kind(first="2s", every="100s")])
    assert sorted(strike.number for strike in strikes) == [1, 2]
    assert 1.7 < strikes[1].at_s < 2.3


def test_two_ways_to_say_when_are_refused() -> None:
    """`at` beside `every` could mean anything."""
    (kind, *_) = FAULTS
    with pytest.raises(ValueError, match="leave `first` and `every` out"):
        kind(at=("1s",), every="2s")
