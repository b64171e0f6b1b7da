"""A run in numbers and plain values: what `report.json` says besides the audit.

Out:     dictionaries of plain values; no judgement.
Units:   as the names say.
"""

from collections import Counter
from typing import Any

from simulator.workload.tally import Tally

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


def load_summary(tally: Tally) -> dict[str, Any]:
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
        "latency_ms": {f"p{percentile:g}": round(tally.percentile_ms(percentile), 2) for percentile in PERCENTILES},
    }


def fault_summary(injected: Counter[str], bitten: Counter[str]) -> dict[str, dict[str, int]]:
    return {name: {"injected": injected[name], "bitten": bitten[name]} for name in sorted(injected)}
