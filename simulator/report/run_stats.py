"""The few numbers of a run that are not the audit's: how fast it was and what bit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class RunStats:
    """Latencies in milliseconds, from when a request was planned; `faults` is hits by fault."""

    throughput_per_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    faults: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_summary(cls, summary: Mapping[str, Any]) -> Self:
        """Out of a run's report.json (its `load` and `faults`)."""
        load = summary["load"]
        return cls(
            load["throughput_per_s"],
            load["latency_ms"]["p50"],
            load["latency_ms"]["p99"],
            {name: counts["bitten"] for name, counts in summary["faults"].items()},
        )
