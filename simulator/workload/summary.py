"""A run in numbers and plain values: what `report.json` says besides the audit.

Out:     dictionaries of plain values; the one judgement is about ourselves: whether the load generator kept up.
Units:   as the names say.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from hdrh.histogram import HdrHistogram

from simulator.workload.latencies import PERCENTILES, figures_ms
from simulator.workload.latency_log import SERVICE
from simulator.workload.outcomes import OUTCOMES
from simulator.workload.strain import LAG
from simulator.workload.tally import INTENT, LATE_MS, LATENESS, Tally

FIGURES: Final = (*(f"p{percentile:g}" for percentile in PERCENTILES), "max")


def load_summary(tally: Tally) -> dict[str, Any]:
    """`latency_ms` is an operation's, retries and all; those by outcome are single requests."""
    totals = tally.latencies.totals
    seen = [outcome for outcome in OUTCOMES if outcome in totals]
    return {
        "purchases_planned": tally.planned,
        "purchases_begun": tally.begun,
        "purchases_dropped": tally.dropped,
        "intents": tally.intents,
        "answered": tally.settled,
        "unanswered": tally.waiting,
        "attempts": tally.attempts,
        "outcomes": dict(sorted(tally.outcomes.items())),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "replays": tally.replays,
        "throughput_per_s": round(tally.throughput_per_s, 1),
        "warm_up_s": tally.warm_up_s,
        "latency_ms": _whole(totals.get(INTENT)),
        "latency_ms_by_outcome": {outcome: _counted(totals[outcome]) for outcome in seen},
        "service_ms_by_outcome": {
            outcome: _counted(totals[outcome + SERVICE]) for outcome in seen if outcome + SERVICE in totals
        },
        "arrivals": _arrivals(tally),
        "generator": _generator(tally),
    }


def _whole(of: HdrHistogram | None) -> dict[str, float | None]:
    """Every figure by name; None where there was nothing to measure."""
    figures = figures_ms(of)
    return {name: figures.get(name) for name in FIGURES}


def _counted(of: HdrHistogram) -> dict[str, float | None]:
    return {"count": of.get_total_count(), **_whole(of)}


def _arrivals(tally: Tally) -> dict[str, Any]:
    figures = _whole(tally.latencies.totals.get(LATENESS))
    return {
        "late": tally.late,
        "late_over_ms": LATE_MS,
        "lateness_ms": {name: figures[name] for name in ("p50", "p99", "max")},
        "dropped": tally.dropped,
        "of_plan": round(tally.begun / tally.planned, 4) if tally.planned else 0.0,
    }


def _generator(tally: Tally) -> dict[str, Any]:
    strain = tally.strain
    reasons = strain.reasons(tally.latencies.totals.get(LATENESS))
    shares = strain.cpu_shares or [0.0]
    lag_ms = _whole(strain.lag.totals.get(LAG))
    return {
        "kept_up": not reasons,
        "says": _said(reasons),
        "cpu_share_mean": round(sum(shares) / len(shares), 3),
        "cpu_share_max": round(max(shares), 3),
        "loop_lag_ms": {name: lag_ms[name] for name in ("p50", "p99", "max")},
    }


def _said(reasons: list[str]) -> str:
    if not reasons:
        return "The load generator kept up with its plan: the latencies are the system's."
    return (
        f"The load generator itself was too slow ({'; '.join(reasons)}): the latencies are partly its own. "
        "Lower the rate, or use more load processes."
    )


def doubts(load: Mapping[str, Any]) -> list[str]:
    """What a reader of a run's `load` must know before the latencies mean anything; nothing when all is well."""
    said = []
    if not load.get("generator", {"kept_up": True})["kept_up"]:
        said.append(load["generator"]["says"])
    if load["purchases_dropped"]:
        said.append(
            f"{load['purchases_dropped']:,} of {load['purchases_planned']:,} customers found too many others still "
            "waiting and did not come: the latencies leave them out."
        )
    return said


def fault_summary(injected: Counter[str], bitten: Counter[str]) -> dict[str, dict[str, int]]:
    return {name: {"injected": injected[name], "bitten": bitten[name]} for name in sorted(injected)}
