"""What a measurement is made of: every single run, who failed and why, and what the runs of one setting come to.

In:      flat records, one a run: `setting`, `subject`, `round`, and the figures by name.
Out:     bench.json's members; rows of figures with their spread; ratios within a round.
Units:   as each Metric says.

Pure: no clock, nothing is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from simulator.bench.spread import Spread, ratio
from simulator.bench.subjects import is_ours


class Metric(NamedTuple):
    name: str  # in the records
    title: str
    short: str  # of a column on a terminal
    unit: str
    digits: int
    higher_is_better: bool = False


class Kind(NamedTuple):
    """What is measured: the metrics of its table, in order; the first is the one that ratios are told of."""

    name: str
    title: str
    metrics: Sequence[Metric]
    drawn: Sequence[str]  # the metrics that the picture has a panel of

    def metric(self, name: str) -> Metric:
        return next(metric for metric in self.metrics if metric.name == name)


STEADY: Final = Metric("steady_per_s", "commands a second", "commands/s", "/s", 0, higher_is_better=True)
WHOLE: Final = Metric("whole_per_s", "from ready, commands a second", "from\nready", "/s", 0, higher_is_better=True)
SUBJECT_CPU: Final = Metric("subject_cpu_us", "its CPU a command", "its CPU", "µs", 1)
BROKER_CPU: Final = Metric("broker_cpu_us", "the broker's CPU a command", "broker's", "µs", 1)
# Of a short run: work is done before its answers are on the log, so a part of the run would have too little of it.
WHOLE_CPU: Final = Metric("whole_subject_cpu_us", "its CPU a command, from ready", "its CPU", "µs", 1)
START: Final = Metric("start_s", "from its start to ready", "start", "s", 1)

THROUGHPUT: Final = Kind(
    "throughput",
    "Preloaded commands, as fast as they can",
    (STEADY, WHOLE, SUBJECT_CPU, BROKER_CPU, START),
    ("steady_per_s", "subject_cpu_us", "broker_cpu_us"),
)
LATENCY: Final = Kind(
    "latency",
    "From a command's planned instant to its reply, read committed",
    (
        Metric("p50_ms", "p50", "p50", "ms", 1),
        Metric("p99_ms", "p99", "p99", "ms", 1),
        Metric("p99_9_ms", "p99.9", "p99.9", "ms", 1),
        SUBJECT_CPU,
        BROKER_CPU,
        Metric("late_p99_ms", "the probe's own lateness, p99", "late", "ms", 1),
    ),
    ("p50_ms", "p99_ms"),
)
GROWTH: Final = Kind(
    "growth",
    "CPU a command as partitions and processes are more",
    (SUBJECT_CPU, BROKER_CPU, STEADY),
    ("subject_cpu_us", "broker_cpu_us"),
)
SMOKE: Final = Kind(
    "smoke",
    "A minute's look at the ratios",
    (STEADY, WHOLE_CPU, BROKER_CPU),
    ("steady_per_s", "whole_subject_cpu_us"),
)
KINDS: Final = {kind.name: kind for kind in (THROUGHPUT, LATENCY, GROWTH, SMOKE)}


class Row(NamedTuple):
    """All runs of one subject in one setting."""

    setting: str
    subject: str
    commands: int
    figures: Mapping[str, Spread | None]


class Ratio(NamedTuple):
    """Ours by the other's, of one metric."""

    setting: str
    ours: str
    other: str
    metric: str
    spread: Spread


@dataclass
class Measured:
    """Grows while it is measured; what was finished is told when it is interrupted."""

    kind: Kind
    options: Mapping[str, Any]
    machine: Mapping[str, Any]
    began_at: int  # Unix milliseconds
    runs: list[dict[str, Any]] = field(default_factory=list)
    trials: list[dict[str, Any]] = field(default_factory=list)  # not counted
    failed: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    interrupted: bool = False
    notes: dict[str, Any] = field(default_factory=dict)  # of one kind only

    def rows(self) -> list[Row]:
        """In the order in which they were first measured."""
        keys = list(dict.fromkeys((run["setting"], run["subject"]) for run in self.runs))
        return [
            Row(
                setting,
                subject,
                next(run["commands"] for run in self._of(setting, subject)),
                {metric.name: Spread.of(self._by_round(setting, subject, metric.name)) for metric in self.kind.metrics},
            )
            for setting, subject in keys
        ]

    def ratios(self) -> list[Ratio]:
        """Of each of ours to everybody else, in each setting, of every metric."""
        found = []
        rows = self.rows()
        for row in rows:
            for other in rows:
                if not is_ours(row.subject) or other.setting != row.setting or other.subject == row.subject:
                    continue
                for metric in self.kind.metrics:
                    spread = ratio(
                        self._by_round(row.setting, row.subject, metric.name),
                        self._by_round(other.setting, other.subject, metric.name),
                    )
                    if spread is not None:
                        found.append(Ratio(row.setting, row.subject, other.subject, metric.name, spread))
        return found

    def ratio_of(self, setting: str, ours: str, other: str, metric: str) -> Spread | None:
        return ratio(self._by_round(setting, ours, metric), self._by_round(setting, other, metric))

    def limits(self) -> set[str]:
        """Subjects whose replies are no answers."""
        return {run["subject"] for run in self.runs if not run.get("does_the_work", True)}

    def ratio_between(self, low: str, high: str, subject: str, metric: str) -> Spread | None:
        """One subject's figure in the setting `high` by its figure in the setting `low`."""
        return ratio(self._by_round(high, subject, metric), self._by_round(low, subject, metric))

    def _of(self, setting: str, subject: str) -> list[dict[str, Any]]:
        return [run for run in self.runs if (run["setting"], run["subject"]) == (setting, subject)]

    def _by_round(self, setting: str, subject: str, metric: str) -> list[float | None]:
        by_round = {run["round"]: run.get(metric) for run in self._of(setting, subject)}
        return [by_round.get(number) for number in range(1, self.rounds + 1)]

    @property
    def rounds(self) -> int:
        return max((run["round"] for run in self.runs), default=0)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.name,
            "began_at": self.began_at,
            "machine": dict(self.machine),
            "options": dict(self.options),
            "interrupted": self.interrupted,
            "left_out": self.left_out,
            "failed": self.failed,
            "summary": [
                {
                    "setting": row.setting,
                    "subject": row.subject,
                    "commands": row.commands,
                    **{name: spread and spread.to_json() for name, spread in row.figures.items()},
                }
                for row in self.rows()
            ],
            "ratios": [{**one._asdict(), "spread": one.spread.to_json()} for one in self.ratios()],
            "notes": self.notes,
            "trials": self.trials,
            "runs": self.runs,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Measured":
        """As `to_json` told it: summary and ratios are counted again."""
        return cls(
            kind=KINDS[told["kind"]],
            options=told["options"],
            machine=told["machine"],
            began_at=told["began_at"],
            runs=list(told["runs"]),
            trials=list(told["trials"]),
            failed=list(told["failed"]),
            left_out=list(told["left_out"]),
            interrupted=told["interrupted"],
            notes=dict(told["notes"]),
        )
