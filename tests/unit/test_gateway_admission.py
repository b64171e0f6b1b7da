"""How many may wait: as many as were answered in the best second of late, within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.admission import MEMORY_S, WAIT_S, WAITING_FEW, WAITING_LEAST, Admission


def answered(admission: Admission, second: int, count: int) -> None:
    for number in range(count):
        admission.answered(second + number / (count + 1))


def test_nothing_is_known_at_first() -> None:
    """A gateway that has answered nobody lets the fewest wait that a processor's batches need."""
    admission = Admission(4096)
    assert admission.allows(WAITING_LEAST - 1, 0.0)
    assert not admission.allows(WAITING_LEAST, 0.0)


def test_who_became_slower_is_found_out_by_the_first_in_line() -> None:
    """The best second is ten seconds old at most; nobody waits for them. A handful is no line, however slow."""
    admission = Admission(4096)
    answered(admission, 100, 2_000)
    assert admission.allows(1_000, WAIT_S)
    assert not admission.allows(WAITING_FEW, WAIT_S + 0.1)
    assert admission.allows(WAITING_FEW - 1, 15.0)
    assert not Admission(3).allows(3, 0.0)


def test_as_many_wait_as_are_answered_in_time() -> None:
    """Little's law: at 2,000 answers a second and a second of patience, 2,000."""
    admission = Admission(4096)
    answered(admission, 100, 2_000)
    assert admission.limit == 2_000 * WAIT_S


def test_the_limit_grows_within_the_second() -> None:
    """Whoever becomes fast is believed at once."""
    admission = Admission(4096)
    answered(admission, 100, 600)
    before = admission.limit
    admission.answered(100.99)
    assert admission.limit == before + WAIT_S


def test_a_quiet_second_takes_nothing_back() -> None:
    """Few came, or the log stood still: what the system can do is another matter."""
    admission = Admission(4096)
    answered(admission, 100, 2_000)
    answered(admission, 100 + MEMORY_S, 1)
    assert admission.limit == 2_000 * WAIT_S


def test_a_system_that_became_slow_is_noticed() -> None:
    """The best second is forgotten."""
    admission = Admission(4096)
    answered(admission, 100, 2_000)
    answered(admission, 101 + MEMORY_S, 700)
    assert admission.limit == 700 * WAIT_S


def test_memory_is_a_limit_of_its_own() -> None:
    """However fast it goes, no more than was said may wait; also where that is less than the least."""
    fast = Admission(1_000)
    answered(fast, 100, 5_000)
    assert fast.limit == 1_000
    assert Admission(3).limit == 3


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3_000)), max_size=12))
def test_the_limit_stays_within_its_bounds(seconds: list[tuple[int, int]]) -> None:
    """Whatever was answered when."""
    admission, now = Admission(2_000), 0
    for later, count in seconds:
        now += later
        answered(admission, now, count)
        assert WAITING_LEAST <= admission.limit <= 2_000
