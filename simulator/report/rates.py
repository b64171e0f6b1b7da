"""A search for the highest rate, as the page draws it: each rate that was tried, and whether it held.

In:      `find_max` of report.json.
Out:     the plot's numbers, the legend, the table; None where nothing was searched for.
Units:   purchases a second; milliseconds, percent or a second, as the threshold's own metric.
"""

from collections.abc import Mapping
from typing import Any, Final

from simulator.report.tables import Table
from simulator.report.wording import NBSP, counted, duration
from simulator.scenario.thresholds import Threshold, parse_threshold

HELD, NOT_HELD = "yes", "no"
UNITS: Final = {"latency": "ms", "share": "%", "rate": "/s"}


def rates(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the template needs."""
    told = summary.get("find_max")
    if not told:
        return None
    threshold = parse_threshold(told["threshold"])
    steps = told["steps"]
    held = sum(step["held"] for step in steps)
    return {
        "title": told["says"],
        "metric": _metric(threshold),
        "legend": [
            ("good", f"held {held:,}"),
            ("bad", f"did not hold {len(steps) - held:,}"),
            ("ink", f"the threshold, {told['threshold']}"),
        ],
        "tried": f"{counted(len(steps), 'step')}, in the order of the table; a rate that held was tried again.",
        "drawn": any(step["value"] is not None for step in steps),
        "table": _table(steps, threshold),
    }


def rates_plot(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """What assets/report.js reads; a step at which nothing was measured is in the table only."""
    told = summary.get("find_max")
    if not told:
        return None
    threshold = parse_threshold(told["threshold"])
    return {
        "metric": _metric(threshold),
        "unit": UNITS[threshold.kind],
        "threshold": told["threshold"],
        "bound": threshold.bound,
        "rate": told["rate_per_s"],
        "steps": [
            {
                "step": step["step"],
                "rate": step["rate_per_s"],
                "value": step["value"],
                "held": step["held"],
                "why": "; ".join(step["why"]),
            }
            for step in told["steps"]
            if step["value"] is not None
        ],
    }


def _metric(threshold: Threshold) -> str:
    return f"{threshold.metric} of {threshold.outcome} answers" if threshold.outcome else threshold.metric


def _table(steps: list[Mapping[str, Any]], threshold: Threshold) -> Table:
    beside = tuple(name for name in ("p50", "p99") if name != _metric(threshold))
    head = ("step", "purchases/s", "requests/s", _metric(threshold), *beside, "backlog drained", "held", "why not")
    return Table(head, [_row(step, threshold, beside) for step in steps])


def _row(step: Mapping[str, Any], threshold: Threshold, beside: tuple[str, ...]) -> tuple[str, ...]:
    latency, drained_s = step["latency_ms"], step["backlog"]["drained_s"]
    return (
        str(step["step"]),
        f"{step['rate_per_s']:,g}",
        f"{step['requests_per_s']:,g}",
        _value(step["value"], threshold),
        *(duration(latency[name]) for name in beside),
        "never" if drained_s is None else f"{drained_s:.1f}{NBSP}s",
        HELD if step["held"] else NOT_HELD,
        "; ".join(step["why"]) or "–",
    )


def _value(value: float | None, threshold: Threshold) -> str:
    if value is None:
        return "nothing measured"
    unit = UNITS[threshold.kind]
    return duration(value) if unit == "ms" else f"{value:,.4g}{unit if unit == '/s' else NBSP + unit}"
