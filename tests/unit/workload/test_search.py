"""The search for the highest rate: against systems whose limit the test knows."""

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.workload.search import AGAIN, LEAST, PRECISION, STEPS_MAX, Answer, search


def found(first: float, holds: Callable[[float], bool]) -> tuple[Answer, list[float]]:
    """The answer, and every rate that was tried."""
    trying, tried = search(first), []
    rate = next(trying)
    try:
        while True:
            tried.append(rate)
            rate = trying.send(holds(rate))
    except StopIteration as over:
        return over.value, tried


@given(st.floats(min_value=1.0, max_value=5_000.0), st.floats(min_value=1.0, max_value=20_000.0))
def test_a_sharp_limit_is_found_from_wherever_it_begins(first: float, limit: float) -> None:
    """The rate holds, what is a twentieth more does not, and it was tried often enough to be sure."""
    answer, tried = found(first, lambda rate: rate <= limit)
    assert answer.rate is not None
    assert answer.fails_at is not None
    assert answer.rate <= limit < answer.fails_at <= answer.rate * PRECISION * 1.000001
    assert answer.confirmed
    assert tried.count(answer.rate) == AGAIN + 1
    assert len(tried) <= STEPS_MAX


def test_nothing_holds() -> None:
    """It gives up when even the least rate fails, and says so."""
    answer, tried = found(8.0, lambda _: False)
    assert answer == Answer(None, LEAST, confirmed=False)
    assert tried == [8.0, 4.0, 2.0, 1.0, 0.5]


def test_everything_holds() -> None:
    """It stops when its steps are used up; nothing failed, and nothing was tried again."""
    answer, tried = found(1.0, lambda _: True)
    assert answer == Answer(2.0 ** (STEPS_MAX - 1), None, confirmed=False)
    assert len(tried) == STEPS_MAX


@pytest.mark.parametrize("lucky", [1, 2])
def test_a_rate_that_held_by_luck_is_given_up(lucky: int) -> None:
    """A rate above the limit that fails when it is tried again makes room for one below."""
    held = count()

    def holds(rate: float) -> bool:
        return rate <= 100.0 or (rate <= 110.0 and next(held) < lucky)

    answer, _ = found(100.0, holds)
    assert answer.rate is not None
    assert answer.rate <= 100.0
    assert answer.confirmed
