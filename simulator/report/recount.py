"""The figures of report.json counted once more from the history and the list of repeated executions.

In:      `Finished`.
Out:     `Recount`s: what is counted, report.json's figure, the one counted here.
Units:   counts; milliseconds; money in minor units.

The run counted while it ran, the auditor counted from the log; this counts from the files beside the report. Where two
disagree, one of the three is wrong, and the page says so.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from simulator.report.findings import taken
from simulator.report.finished import Finished
from simulator.report.series import percentile

CLOCK_MS: Final = 3.0  # the history's instants are whole milliseconds of two clocks
HISTOGRAM: Final = 0.02  # a histogram with three digits, and ranks that fall between two values


@dataclass(frozen=True)
class Recount:
    what: str
    told: Any
    counted: Any
    source: str
    agrees: bool


def recounts(finished: Finished) -> list[Recount]:
    """Of a search for the highest rate `load` is one step's, the history all of them: then what the audit counted."""
    of_load = [] if finished.summary.get("find_max") else [*_of_load(finished)]
    return [*of_load, *_of_audit(finished)]


def _of_load(finished: Finished) -> Iterator[Recount]:
    told, load = finished.told, finished.summary["load"]
    ends = Counter(one.end for one in told.tries if one.end is not None)
    settled = sum(operation.settled is not None for operation in told.operations.values())
    yield _same("operations customers meant", load["intents"], len(told.operations))
    yield _same("requests sent", load["attempts"], sum(1 for _ in told.tries))
    yield _same("operations answered", load["answered"], settled)
    for name, count in load["outcomes"].items():
        yield _same(f"requests that ended {name}", count, ends[name])
    yield _same("answers replayed", load["replays"], sum(one.replayed for one in told.tries))
    values = finished.series.of("all")
    for wanted in (50, 99):
        if values and load["latency_ms"].get(f"p{wanted}") is not None:
            yield _close(f"p{wanted} in ms", load["latency_ms"][f"p{wanted}"], percentile(values, wanted))


def _of_audit(finished: Finished) -> Iterator[Recount]:
    told, summary, counts = finished.told, finished.summary, finished.report.counts
    yield _same("operations the auditor judged", counts.intents, len(told.operations))
    for name, figures in summary["faults"].items():
        strikes = [strike for strike in told.strikes if strike.fault == name]
        yield _same(f"{name}: strikes", figures["injected"], len(strikes))
        yield _same(f"{name}: hits", figures["bitten"], sum(len(strike.hits) for strike in strikes))
    if finished.has_repeats:
        causes = Counter(repeat.cause for repeat in finished.repeats)
        for name, count in counts.duplicates.items():
            yield _same(f"executions too many: {name}", count, causes[name], "duplicates.jsonl")
        yield _same("overcharged", dict(counts.overcharged), taken(finished), "duplicates.jsonl")


def _same(what: str, said: Any, counted: Any, source: str = "history.jsonl") -> Recount:
    return Recount(what, said, counted, source, said == counted)


def _close(what: str, said: float, counted: int) -> Recount:
    return Recount(what, said, counted, "history.jsonl", abs(said - counted) <= max(CLOCK_MS, HISTOGRAM * said))
