"""What a run's looks at the log come to."""

import pytest

from simulator.bench.pace import Point, Sample, pace, points, thinned


def line(*answered: int, broker: bool = True) -> list[Point]:
    """A look a second; each second costs 0.5 s of the subject's CPU and 0.25 s of the broker's."""
    return [Point(float(at), count, at * 0.5, at * 0.25 if broker else None) for at, count in enumerate(answered)]


def test_markers_are_no_answers() -> None:
    """Offsets below a stable end count only where a reply lies at them."""
    samples = [Sample(1.0, {0: 5, 1: 0}, 0.1, None), Sample(2.0, {0: 6, 1: 3}, 0.2, None)]
    seen = points(samples, {0: [0, 1, 2, 4], 1: [1]})
    assert [point.answered for point in seen] == [4, 5]


def test_an_even_run_is_as_fast_steadily_as_in_the_whole() -> None:
    """1,000 answers a second, from the first second to the last."""
    found = pace(0.0, line(0, 1_000, 2_000, 3_000, 4_000, 5_000))
    assert (found.seconds, found.whole_per_s, found.steady_per_s) == (5.0, 1_000.0, 1_000.0)
    assert found.subject_cpu_us == pytest.approx(500.0)
    assert found.whole_subject_cpu_us == pytest.approx(500.0)
    assert found.broker_cpu_us == pytest.approx(250.0)


def test_a_slow_beginning_counts_in_the_whole_and_not_in_the_steady_rate() -> None:
    """Three seconds without an answer, then 1,000 a second: the steady part begins at the 1,000th of 5,000."""
    found = pace(0.0, line(0, 0, 0, 0, 1_000, 2_000, 3_000, 4_000, 5_000))
    assert found.whole_per_s == 625.0
    assert found.steady_per_s == 1_000.0


def test_the_quiet_after_the_last_answer_is_not_the_subjects() -> None:
    """Looks that saw nothing new change neither the time nor the CPU."""
    busy = line(0, 1_000, 2_000)
    assert pace(0.0, [*busy, Point(9.0, 2_000, 7.0, 7.0)]) == pace(0.0, busy)


def test_the_steady_part_begins_between_two_looks() -> None:
    """All came between two looks: a fifth of them in a fifth of that time."""
    found = pace(0.0, line(0, 1_000))
    assert found.steady_per_s == pytest.approx(1_000.0)


def test_a_broker_that_is_not_ours_has_no_cpu_to_tell() -> None:
    """None, not zero."""
    assert pace(0.0, line(0, 1_000, 2_000, broker=False)).broker_cpu_us is None


def test_the_time_before_it_was_ready_does_not_count() -> None:
    """Half a second after the third look that saw nothing."""
    found = pace(2.5, line(0, 0, 0, 1_000, 2_000))
    assert (found.seconds, found.whole_per_s) == (1.5, 2_000 / 1.5)
    assert found.whole_subject_cpu_us == pytest.approx(375.0)


def test_who_answers_before_it_says_that_it_is_ready_gains_nothing() -> None:
    """It is timed from the last look that saw no answer."""
    assert pace(3.5, line(0, 0, 1_000, 2_000, 3_000)) == pace(1.0, line(0, 0, 1_000, 2_000, 3_000))


@pytest.mark.parametrize("count", [1, 2, 59, 60, 61, 119, 1_000])
def test_a_long_run_keeps_its_first_and_its_last_look(count: int) -> None:
    """And no more than a picture needs."""
    seen = line(*range(count))
    kept = thinned(seen)
    assert len(kept) <= 60
    assert (kept[0], kept[-1]) == (seen[0], seen[-1])
    assert sorted(set(kept)) == kept
    assert len(kept) == count or count > 60
