"""Latencies: histograms by outcome, second by second, and in a file that others can read."""

from pathlib import Path
from random import Random

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given
from hypothesis import strategies as st

from simulator.workload.latencies import DIGITS, NS_MAX, NS_MIN, Latencies, figures_ms, histogram
from simulator.workload.latency_log import LatencyLog, merge_latency_logs

BEGAN_MS = 1_700_000_000_000


@given(st.lists(st.floats(min_value=0.0, max_value=700.0), min_size=1, max_size=50))
def test_counting_first_is_the_same_as_recording_each(durations_s: list[float]) -> None:
    """Whatever the durations, the histogram is that of HdrHistogram recording one by one."""
    latencies, expected = Latencies(), histogram()
    for duration_s in durations_s:
        latencies.record(0.5, "fresh", duration_s)
        expected.record_value(max(NS_MIN, min(NS_MAX, int(duration_s * 1e9))))
    latencies.finish()
    assert list(latencies.totals["fresh"].counts) == list(expected.counts)
    assert figures_ms(latencies.totals["fresh"]) == figures_ms(expected)


def test_figures_are_those_of_the_durations() -> None:
    """Percentiles to three digits; nothing at all where nothing was measured."""
    latencies = Latencies()
    for number in range(1, 1_001):
        latencies.record(0.0, "fresh", number / 1_000.0)
    latencies.finish()
    figures = figures_ms(latencies.totals["fresh"])
    expected = {"p50": 500.0, "p90": 900.0, "p95": 950.0, "p99": 990.0, "p99.9": 999.0, "max": 1_000.0}
    assert figures == pytest.approx(expected, rel=1e-3)
    assert figures_ms(None) == figures_ms(histogram()) == {}


def test_each_second_is_told_once_and_the_total_is_their_sum() -> None:
    """Seconds without anything are left out; what is still being counted is counted too."""
    told: list[tuple[int, dict[str, int]]] = []
    latencies = Latencies(
        lambda second, them: told.append((second, {name: one.get_total_count() for name, one in them.items()}))
    )
    for at_s, name in ((0.1, "fresh"), (0.9, "replay"), (1.0, "fresh"), (4.2, "fresh"), (4.3, "fresh")):
        latencies.record(at_s, name, 0.01)
    assert latencies.count("fresh") == 4
    latencies.finish()
    latencies.finish()
    assert told == [(0, {"fresh": 1, "replay": 1}), (1, {"fresh": 1}), (4, {"fresh": 2})]
    assert latencies.count("fresh") == 4


def recorded(path: Path, seed: int, seconds: range) -> Latencies:
    rng = Random(seed)
    with LatencyLog(path, BEGAN_MS) as log:
        latencies = Latencies(log.write)
        for second in seconds:
            for name in ("fresh", "fresh.service", "402"):
                latencies.record(second + 0.5, name, rng.lognormvariate(-4.0, 1.0))
        latencies.finish()
    return latencies


def read(path: Path) -> list[tuple[str, float, float, HdrHistogram]]:
    """As any tool of HdrHistogram would."""
    reader = HistogramLogReader(str(path), HdrHistogram(1, 2, DIGITS))
    found = []
    while (one := reader.get_next_interval_histogram()) is not None:
        found.append((one.get_tag(), one.get_start_time_stamp(), one.get_end_time_stamp(), one))
    reader.close()
    return found


def test_the_log_is_read_back_by_hdrhistograms_own_reader(tmp_path: Path) -> None:
    """Tags, absolute instants and values are what was recorded; the intervals of a tag add up to its total."""
    latencies = recorded(tmp_path / "latency.hlog", 1, range(3))
    found = read(tmp_path / "latency.hlog")
    assert [(tag, start, end) for tag, start, end, _ in found] == [
        (tag, BEGAN_MS + second * 1_000.0, BEGAN_MS + (second + 1) * 1_000.0)
        for second in range(3)
        for tag in ("402", "fresh", "fresh.service")
    ]
    for tag, total in latencies.totals.items():
        whole = histogram()
        for name, _, _, one in found:
            if name == tag:
                whole.add(one)
        assert list(whole.counts) == list(total.counts)
    maxima = [line.split(",")[3] for line in (tmp_path / "latency.hlog").read_text().splitlines() if "Tag=" in line]
    assert maxima == [f"{one.get_max_value() / 1e6:.3f}" for _, _, _, one in found]


def test_logs_of_several_processes_are_added_up(tmp_path: Path) -> None:
    """One line for each second and tag, whoever was there in it."""
    parts = [tmp_path / "a.hlog", tmp_path / "b.hlog"]
    left, right = recorded(parts[0], 1, range(3)), recorded(parts[1], 2, range(2, 5))
    merge_latency_logs(parts, tmp_path / "latency.hlog", BEGAN_MS)
    found = read(tmp_path / "latency.hlog")
    assert [(tag, (start - BEGAN_MS) / 1_000.0) for tag, start, _, _ in found if tag == "402"] == [
        ("402", float(second)) for second in range(5)
    ]
    left.add(right)
    whole = histogram()
    for tag, _, _, one in found:
        if tag == "fresh":
            whole.add(one)
    assert list(whole.counts) == list(left.totals["fresh"].counts)
    assert Latencies.from_json(left.to_json()).count("fresh") == 6
