"""A run in numbers and plain values: what `report.json` says besides the audit.

Out:     dictionaries of plain values; the one judgement is about ourselves: whether the load generator kept up.
Units:   as the names say.
"""

from collections import Counter
from typing import Any

from simulator.workload.latencies import figures_ms
from simulator.workload.latency_log import SERVICE
from simulator.workload.outcomes import OUTCOMES
from simulator.workload.tally import INTENT, LATE_MS, LATENESS, Tally


def load_summary(tally: Tally) -> dict[str, Any]:
    """`latency_ms` is an operation's, retries and all; `outcomes_ms` are single requests', from plan and from send."""
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
        "latency_ms": figures_ms(tally.latencies.totals.get(INTENT)),
        "outcomes_ms": _by_outcome(tally),
        "arrivals": _arrivals(tally),
        "generator": _generator(tally),
    }


def _by_outcome(tally: Tally) -> dict[str, dict[str, Any]]:
    totals = tally.latencies.totals
    return {
        outcome: {
            "count": tally.latencies.count(outcome),
            "planned": figures_ms(totals[outcome]),
            "service": figures_ms(totals.get(outcome + SERVICE)),
        }
        for outcome in OUTCOMES
        if outcome in totals
    }


def _arrivals(tally: Tally) -> dict[str, Any]:
    figures = figures_ms(tally.latencies.totals.get(LATENESS))
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
    lag_ms = strain.lag_ms
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


def fault_summary(injected: Counter[str], bitten: Counter[str]) -> dict[str, dict[str, int]]:
    return {name: {"injected": injected[name], "bitten": bitten[name]} for name in sorted(injected)}
