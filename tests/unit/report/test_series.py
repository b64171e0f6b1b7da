"""A run over time: nothing is lost between the history and the buckets, and percentiles are the histogram's."""

from typing import Any

from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from simulator.report.folding import fold
from simulator.report.series import BUCKETS_MAX, OUTCOMES, curve, percentile, series
from tests.support.recounting import count_load

START = 1_700_000_000_000
ENDS: list[dict[str, Any]] = [
    {"kind": "ok", "status": 201, "replayed": False},
    {"kind": "ok", "status": 201, "replayed": True},
    {"kind": "ok", "status": 402, "replayed": False},
    {"kind": "ok", "status": 409, "replayed": False, "come_back": True},
    {"kind": "fail", "status": 503, "reason": "the gateway was not available"},
    {"kind": "info", "reason": "no answer within 4000 ms"},
]
tries = st.tuples(st.integers(0, 5_000), st.integers(0, 60_000), st.sampled_from(ENDS) | st.none())
operations = st.tuples(st.integers(0, 7_200_000), st.integers(0, 500), st.lists(tries, max_size=4))


def history_of(told: list[tuple[int, int, list[Any]]]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for number, (at, late_ms, asked) in enumerate(told):
        head = {"intent": f"i-{number}", "merchant_id": "m", "operation": "charge.create"}
        came_at = START + at + late_ms
        lines.append({"kind": "intent", "at": came_at, "planned_at": START + at, **head})
        for attempt, (wait_ms, took_ms, end) in enumerate(asked, start=1):
            sent_at = came_at + wait_ms
            lines.append({"kind": "invoke", "at": sent_at, "attempt": attempt, "gateway": "g", **head})
            if end is not None:
                lines.append({"at": sent_at + took_ms, "intent": head["intent"], "attempt": attempt, **end})
    return [{"kind": "run", "started_at": START}, *sorted(lines, key=lambda line: line["at"])]


@given(st.lists(operations, max_size=30))
def test_every_line_of_a_history_is_in_one_bucket(told: list[tuple[int, int, list[Any]]]) -> None:
    """Planned, sent, answered and each outcome add up to what other code counts, in at most 150 buckets."""
    history = history_of(told)
    found, counted = series(fold(history)), count_load(history)
    sums = {name: sum(column) for name, column in found.columns.items()}
    assert (sums["planned"], sums["sent"], sums["answered"]) == (
        counted["intents"],
        counted["attempts"],
        counted["answered"],
    )
    assert sum(sums[name] for name in OUTCOMES) == sum(counted["outcomes"].values())
    assert sums["no_answer"] == counted["unanswered"]
    assert len(found.of("all")) == counted["answered"]
    assert found.length <= BUCKETS_MAX
    assert all(len(column) == found.length for column in found.columns.values())


@given(
    st.lists(st.integers(1, 1_900), min_size=1, max_size=400), st.sampled_from([50.0, 90.0, 95.0, 99.0, 99.9, 100.0])
)
def test_a_percentile_is_the_one_that_the_histogram_of_the_run_has(values: list[int], wanted: float) -> None:
    """The page and latency.hlog take the same rank, so they name the same value."""
    histogram = HdrHistogram(1, 1_000_000, 3)
    for value in values:
        histogram.record_value(value)
    assert percentile(sorted(values), wanted) == histogram.get_value_at_percentile(wanted)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=300))
def test_a_curve_rises_and_ends_at_the_longest(values: list[int]) -> None:
    """A percentile curve never falls, ends at what was really the longest, and claims nothing beyond its customers."""
    points = curve(sorted(values))
    assert [value for _, value in points] == sorted(value for _, value in points)
    assert points[-1] == (100.0, max(values))
    assert all((100 - percent) / 100 * len(values) >= 1 for percent, _ in points if 50 < percent < 100)


def test_the_warm_up_is_drawn_and_not_measured() -> None:
    """A slow beginning is seen in its bucket and left out of every percentile."""
    slow, quick = (0, 0, [(0, 9_000, ENDS[0])]), (2_000, 0, [(0, 20, ENDS[0])])
    found = series(fold(history_of([slow, quick])), measured_from=START + 1_000)
    assert found.of("all") == found.of("at_once") == [20]
    assert found.quantile("all", 99)[0] == 9_000
    assert sum(found.columns["planned"]) == 2
