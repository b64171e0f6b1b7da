"""A finished run, as its folder has it: DIR/report.json, DIR/history.jsonl, DIR/duplicates.jsonl.

In:      the folder. Without duplicates.jsonl (an older run) the repeated executions are not drawn over time.
Out:     `Finished`; `write_duplicates` writes the third file, one repeated execution a line.
Errors:  UsageFailure, one sentence, where there is no finished run.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import orjson

from simulator.audit.report import Repeat, Report
from simulator.failure import UsageFailure
from simulator.history import read_history
from simulator.report.folding import Told, fold
from simulator.report.series import Series, series
from simulator.report.triggers import Triggers

SCHEMA_VERSION: Final = 1  # of report.json
DUPLICATES: Final = "duplicates.jsonl"


@dataclass(frozen=True)
class Finished:
    """One run, read back."""

    folder: Path
    summary: dict[str, Any]
    report: Report
    told: Told
    repeats: tuple[Repeat, ...]
    has_repeats: bool  # whether the run wrote them down one by one

    @property
    def run(self) -> dict[str, Any]:
        run: dict[str, Any] = self.summary["run"]
        return run

    @cached_property
    def series(self) -> Series:
        return series(self.told, self.repeats, self.measured_from)

    @property
    def measured_from(self) -> int:
        """The instant from which on what was planned counts in percentiles: the warm-up is over."""
        load = self.summary["load"]
        if not load.get("warm_up_s"):
            return 0
        return int(load.get("began_at") or self.told.began_at) + round(1_000 * float(load["warm_up_s"]))

    @cached_property
    def triggers(self) -> Triggers:
        return Triggers(self.told)


def read_finished(folder: Path) -> Finished:
    path, history = folder / "report.json", folder / "history.jsonl"
    try:
        summary = json.loads(path.read_bytes())
        if summary["schema"] != SCHEMA_VERSION:
            raise UsageFailure(f"{path} has schema {summary['schema']!r}; this payonce reads {SCHEMA_VERSION}.")
        report = Report.from_json(summary["audit"])
        told = fold(read_history(history))
        repeats = _read_duplicates(folder / DUPLICATES)
    except FileNotFoundError as error:
        raise UsageFailure(f"There is no finished run in {folder}: {error.filename} is missing.") from None
    except OSError as error:
        raise UsageFailure(f"{error.filename} cannot be read: {error.strerror}.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise UsageFailure(f"{folder} does not hold a finished run ({type(error).__name__}: {error}).") from None
    return Finished(folder, summary, report, told, tuple(repeats or ()), repeats is not None)


def write_duplicates(path: Path, repeats: Iterable[Repeat]) -> None:
    path.write_bytes(b"".join(orjson.dumps(asdict(one), option=orjson.OPT_APPEND_NEWLINE) for one in repeats))


def _read_duplicates(path: Path) -> list[Repeat] | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        return [Repeat(**orjson.loads(line)) for line in file]
