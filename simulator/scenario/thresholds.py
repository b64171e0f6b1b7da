"""What must hold of a run: `p99 < 250ms`, `p99{replay} < 80ms`, `duplicate_charge == 0`, `unknown < 1%`.

In:      one text; the summary of a finished run (report.json).
Out:     `Threshold`; `judge` gives the value seen and whether it held.
Units:   ms for latencies, percent for shares, per second for throughput.
Errors:  ValueError, one clause, for a text that is none.
Source:  k6's thresholds, for correctness too. Pure.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.audit.registry import CHECKS, LEDGER_CHECKS

LATENCIES: Final = ("p50", "p90", "p95", "p99", "p99.9", "max")
SHARES: Final = ("answered", "unknown", "failed", "dropped")  # of intents, attempts, attempts, purchases
RATES: Final = ("throughput",)
ANOMALIES: Final = tuple({**CHECKS, **LEDGER_CHECKS})
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
_FORM: Final = re.compile(
    r"\s*(?P<metric>[a-z0-9_.]+)\s*(?:\{(?P<outcome>[a-z0-9_]+)\})?\s*(?P<operator><=|>=|==|<|>)\s*"
    r"(?P<bound>\d{1,12}(?:\.\d{1,6})?)\s*(?P<unit>ms|s|%|/s)?\s*"
)
_UNITS: Final[dict[str, dict[str | None, float]]] = {
    "latency": {"ms": 1.0, "s": 1_000.0},
    "share": {"%": 1.0},
    "rate": {"/s": 1.0, None: 1.0},
}


@dataclass(frozen=True, slots=True)
class Threshold:
    text: str
    metric: str
    outcome: str | None  # of latencies: of these answers only
    operator: str
    bound: float

    @property
    def kind(self) -> str:
        """`latency`, `share`, `rate`, or `count`: of anomalies, which only an audit knows."""
        return _kind(self.metric)

    def holds(self, value: float) -> bool:
        return _OPERATORS[self.operator](value, self.bound)


@dataclass(frozen=True, slots=True)
class Judgement:
    threshold: str
    value: float | None  # None: nothing was there to measure, and then it does not hold
    held: bool

    def to_json(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "value": self.value, "held": self.held}


def parse_threshold(text: str) -> Threshold:
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a threshold; write for example 'p99 < 250ms' or 'duplicate_charge == 0'")
    metric, outcome, unit = match["metric"], match["outcome"], match["unit"]
    kind = _kind(metric)
    if outcome is not None and kind != "latency":
        raise ValueError(f"{text!r}: only latencies are told apart by outcome")
    factors = _UNITS.get(kind, {None: 1.0})
    if unit not in factors:
        wanted = " or ".join(str(name) for name in factors if name) or "no unit"
        raise ValueError(f"{text!r}: {metric} is measured in {wanted}")
    return Threshold(text.strip(), metric, outcome, match["operator"], float(match["bound"]) * factors[unit])


def judge(thresholds: tuple[Threshold, ...], summary: Mapping[str, Any]) -> list[Judgement]:
    """Each threshold against a run's summary, in order."""
    judged = []
    for threshold in thresholds:
        value = _value(threshold, summary)
        judged.append(Judgement(threshold.text, value, value is not None and threshold.holds(value)))
    return judged


def _kind(metric: str) -> str:
    if metric in LATENCIES:
        return "latency"
    if metric in SHARES:
        return "share"
    if metric in RATES:
        return "rate"
    if metric in ANOMALIES:
        return "count"
    known = ", ".join((*LATENCIES, *SHARES, *RATES, *ANOMALIES))
    raise ValueError(f"there is no metric {metric!r}; there is {known}")


def _value(threshold: Threshold, summary: Mapping[str, Any]) -> float | None:
    load = summary["load"]
    match _kind(threshold.metric):
        case "latency":
            if threshold.outcome is None:
                return _number(load["latency_ms"].get(threshold.metric))
            return _number(load.get("latency_ms_by_outcome", {}).get(threshold.outcome, {}).get(threshold.metric))
        case "share":
            return _share(threshold.metric, load)
        case "rate":
            return _number(load["throughput_per_s"])
    anomalies = summary["audit"]["anomalies"]
    return float(sum(found["count"] for found in anomalies if found["name"] == threshold.metric))


def _share(metric: str, load: Mapping[str, Any]) -> float | None:
    part, whole = {
        "answered": (load["answered"], load["intents"]),
        "unknown": (load["outcomes"].get("info", 0), load["attempts"]),
        "failed": (load["outcomes"].get("fail", 0), load["attempts"]),
        "dropped": (load["purchases_dropped"], load["purchases_planned"]),
    }[metric]
    return 100.0 * part / whole if whole else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
