"""Medians, extremes, and ratios that are taken within a round."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.bench.spread import Spread, in_words, ratio

POSITIVE = st.floats(min_value=0.001, max_value=1e9)


@given(st.lists(st.none() | POSITIVE, max_size=9))
def test_the_median_lies_between_the_extremes(values: list[float | None]) -> None:
    """Of what was measured; of nothing there is no spread."""
    there = [value for value in values if value is not None]
    spread = Spread.of(values)
    if not there:
        assert spread is None
    else:
        assert spread is not None
        assert (spread.low, spread.high, spread.rounds) == (min(there), max(there), len(there))
        assert spread.low <= spread.median <= spread.high


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=9), POSITIVE)
def test_what_slows_both_sides_of_a_round_changes_no_ratio(pairs: list[tuple[float, float]], slower: float) -> None:
    """A round on a machine half as fast has the same ratio as the others."""
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    quiet = ratio(ours, theirs)
    busy = ratio([ours[0] * slower, *ours[1:]], [theirs[0] * slower, *theirs[1:]])
    assert quiet is not None
    assert busy is not None
    assert abs(quiet.median - busy.median) <= 1e-6 * quiet.median


def test_a_round_without_one_of_the_two_says_nothing() -> None:
    """Neither a missing run nor one of zero makes a ratio."""
    assert ratio([10.0, None, 30.0, 5.0], [5.0, 5.0, 10.0, 0.0]) == Spread(2.5, 2.0, 3.0, 2)
    assert ratio([None], [1.0]) is None


def test_a_spread_is_told_with_its_extremes_unless_there_was_one_round() -> None:
    """One measurement has no spread, none is a dash."""
    assert in_words(Spread(1_234.4, 1_000.0, 2_000.0, 3)) == "1,234 (1,000 … 2,000)"
    assert in_words(Spread(1.5, 1.5, 1.5, 1), 2) == "1.50"
    assert in_words(None) == "–"
