"""Thresholds: how they are written, and when they hold."""

from typing import Any

import pytest

from simulator.scenario.thresholds import judge, parse_threshold

SUMMARY: dict[str, Any] = {
    "load": {
        "latency_ms": {"p50": 4.0, "p99": 250.0, "max": 900.0},
        "latency_ms_by_outcome": {"replay": {"p99": 80.0}},
        "throughput_per_s": 55.5,
        "answered": 99,
        "intents": 100,
        "attempts": 200,
        "outcomes": {"ok": 190, "info": 10},
        "purchases_dropped": 0,
        "purchases_planned": 90,
    },
    "audit": {
        "anomalies": [
            {"name": "duplicate_charge", "cause": "rewind", "count": 2},
            {"name": "duplicate_charge", "cause": "client_retry", "count": 3},
        ]
    },
}


@pytest.mark.parametrize(
    ("text", "value", "held"),
    [
        ("p99 < 250ms", 250.0, False),
        ("p99 <= 0.25s", 250.0, True),
        ("max<1s", 900.0, True),
        ("p99{replay} < 80.1ms", 80.0, True),
        ("p99{fresh} < 80ms", None, False),
        ("p99.9 < 1s", None, False),
        ("duplicate_charge == 5", 5.0, True),
        ("lost_charge == 0", 0.0, True),
        ("unknown < 5%", 5.0, False),
        ("failed == 0%", 0.0, True),
        ("answered >= 99%", 99.0, True),
        ("dropped == 0%", 0.0, True),
        ("throughput > 55/s", 55.5, True),
        ("throughput > 56", 55.5, False),
    ],
)
def test_a_threshold_is_judged_on_what_was_seen(text: str, value: float | None, held: bool) -> None:
    """In its own unit; what was never measured holds nothing."""
    (judged,) = judge((parse_threshold(text),), SUMMARY)
    assert (judged.threshold, judged.value, judged.held) == (text, value, held)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p99",
        "p99 < ",
        "p99 < 5",
        "p99 < 5%",
        "p98 < 5ms",
        "answered > 5ms",
        "lost == 0",
        "unknown{fresh} < 1%",
        "a;b < 1",
    ],
)
def test_what_is_no_threshold_is_refused(text: str) -> None:
    """A metric nobody measures, or a unit that is not its own, is a mistake of the file."""
    with pytest.raises(ValueError, match=r"threshold|metric|measured|outcome"):
        parse_threshold(text)
