"""The same customers and faults under several guarantees: one table, one picture, what the stronger one cost.

In:      finished runs, in the order they are to be shown.
Out:     the text of one self-contained page.
Units:   as written on the page.
Source:  templates/comparison.html.j2. Causes and money are the audits', latencies are counted from the histories.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from simulator.money_text import money_text
from simulator.promises import kills_to_expect, missing
from simulator.report import rerun
from simulator.report.charged_again import absorbed, redelivered
from simulator.report.document import render
from simulator.report.finished import Finished
from simulator.report.series import curve
from simulator.report.wording import (
    CAUSE_COLOURS,
    CAUSES,
    NBSP,
    counted,
    duration,
    instant,
    listed,
    share,
    spaced,
)

GUARANTEE_COLOURS: Final = {
    "at-most-once": "quiet",
    "at-least-once": "bad",
    "deduplicated": "warn",
    "exactly-once": "good",
}
SECTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("picture", "The picture"),
    ("cost", "What it cost"),
    ("table", "The table"),
    ("again", "Run it again"),
)
BAR: Final = 150.0  # units of a row's small picture
LATENCY_MS: Final = (1.0, 100_000.0)

Cell = Callable[[Finished], str]


@dataclass(frozen=True)
class Run:
    """A column: a run with the name it has on the page."""

    name: str
    finished: Finished


def comparison_page(runs: Sequence[Finished], folder: Path) -> str:
    """`folder` is where the page will be, for the links to each run's own report."""
    named = _named(runs)
    first = runs[0]
    return render(
        "comparison.html.j2",
        _plot_data(named),
        sections=SECTIONS,
        sources="the report.json and history.jsonl of each run",
        run=first.run,
        started=instant(first.told.began_at),
        headline=headline(named),
        cost_title=cost_title(named),
        same=_same(runs),
        rows=[_picture(one, named, folder) for one in named],
        causes=[(CAUSE_COLOURS.get(name, "ink"), CAUSES.get(name, spaced(name))) for name in _causes(named)],
        curve_legend=[(GUARANTEE_COLOURS.get(one.finished.report.guarantee, "ink"), one.name) for one in named],
        names=[one.name for one in named],
        groups=_table(named),
        promises=_promises(named),
        commands=[str(first.run["command"])] if "command" in first.run else [],
        each=[(one.name, rerun.commands(one.finished)[-1]) for one in named],
        not_fixed=rerun.NOT_FIXED,
    )


def headline(runs: Sequence[Run]) -> str:
    """How much each executed too often, the worst first."""
    told = []
    for one in sorted(runs, key=lambda run: -_repeated(run.finished)):
        lost = one.finished.report.counts.lost
        often = f"{_repeated(one.finished):,} times" if _repeated(one.finished) else "never"
        told.append(f"{one.name} {often}{f' and lost {lost:,}' if lost else ''}")
    return f"The same customers, the same faults. What was meant once was executed again: {listed(told)}."


def cost_title(runs: Sequence[Run]) -> str:
    """The strongest against at-least-once, or else the loosest, in customers' time and in throughput."""
    usual = [one for one in runs if one.finished.report.guarantee == "at-least-once"]
    loosest = max(usual or runs, key=lambda one: _repeated(one.finished))
    strongest = min(runs, key=lambda one: (_repeated(one.finished), one.finished.report.guarantee != "exactly-once"))
    if loosest is strongest:
        return "What each guarantee cost"
    kept = _repeated(loosest.finished) - _repeated(strongest.finished)
    loose, strong = loosest.finished.summary["load"], strongest.finished.summary["load"]
    return (
        f"Against {loosest.name}, {strongest.name} kept {counted(kept, 'execution')} from happening again. Half of the "
        f"customers were answered within {duration(strong['latency_ms']['p50'])} instead of "
        f"{duration(loose['latency_ms']['p50'])}, 99{NBSP}% within {duration(strong['latency_ms']['p99'])} instead of "
        f"{duration(loose['latency_ms']['p99'])}, at {strong['throughput_per_s']:g} operations a second instead of "
        f"{loose['throughput_per_s']:g}"
    )


def _named(runs: Sequence[Finished]) -> list[Run]:
    """By guarantee; of two runs under the same one, the second says so."""
    named: list[Run] = []
    for finished in runs:
        again = sum(one.finished.report.guarantee == finished.report.guarantee for one in named)
        name = finished.report.guarantee
        named.append(Run(f"{name}, run {again + 1}" if again else name, finished))
    return named


def _causes(runs: Sequence[Run]) -> list[str]:
    """Every cause that an audit counts, in its order."""
    return list(dict.fromkeys(name for run in runs for name in run.finished.report.counts.duplicates))


def _repeated(finished: Finished) -> int:
    return sum(finished.report.counts.duplicates.values())


def _same(runs: Sequence[Finished]) -> str:
    """Whether these runs are comparable, said plainly."""
    names = ("seed", "scenario", "rate_per_s", "duration_s")
    differing = [spaced(name) for name in names if len({str(run.run.get(name)) for run in runs}) > 1]
    if differing:
        return f"Take care: these runs differ in {listed(differing)}, not only in their guarantee."
    planned = {run.summary["load"]["purchases_planned"] for run in runs}
    purchases = f"{planned.pop():,} purchases" if len(planned) == 1 else "not the same number of purchases"
    return (
        f"Seed {runs[0].run.get('seed')} planned the same {purchases} and the same faults for each. "
        "What a customer does after an answer, and which request a loss hits, is up to each run."
    )


def _picture(one: Run, runs: Sequence[Run], folder: Path) -> dict[str, Any]:
    """One row of the picture: bars and dots on scales that all rows share; widths in BAR units."""
    report, load = one.finished.report, one.finished.summary["load"]
    most = max(1, *(_repeated(run.finished) for run in runs))
    fastest = max(1e-9, *(run.finished.summary["load"]["throughput_per_s"] for run in runs))
    bars, x = [], 0.0
    for name, count in report.counts.duplicates.items():
        width = BAR * count / most
        bars.append({"x": round(x, 2), "width": round(width, 2), "colour": CAUSE_COLOURS.get(name, "ink")})
        x += width
    page = one.finished.folder / "report.html"
    return {
        "name": one.name,
        "link": page.relative_to(folder).as_posix() if page.is_relative_to(folder) else "",
        "verdict": report.verdict.value,
        "repeated": f"{_repeated(one.finished):,}",
        "bars": bars,
        "taken": [money_text(a, c) for c, a in sorted(report.counts.overcharged.items()) if a] or ["nothing"],
        "lost": f"{report.counts.lost:,}",
        "wrong": f"{report.counts.wrong_answers:,}",
        "throughput": f"{load['throughput_per_s']:,.1f}",
        "throughput_width": round(BAR / 2 * load["throughput_per_s"] / fastest, 2),
        "p50": duration(load["latency_ms"]["p50"]),
        "p99": duration(load["latency_ms"]["p99"]),
        "p50_x": _log_x(load["latency_ms"]["p50"]),
        "p99_x": _log_x(load["latency_ms"]["p99"]),
    }


def _log_x(latency_ms: float | None) -> float:
    least, most = (math.log10(bound) for bound in LATENCY_MS)
    at = (math.log10(max(LATENCY_MS[0], latency_ms or 0.0)) - least) / (most - least)
    return round(BAR * min(1.0, at), 2)


def _table(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """(group, [(row, cells)]): what was wanted, what went wrong by cause, in money, and the price."""
    currencies = sorted({c for run in runs for c in run.finished.report.counts.overcharged})
    faults = sorted({name for run in runs for name in run.finished.summary["faults"]})
    wrong: dict[str, Cell] = {f"executions too many: {spaced(name)}": _duplicates(name) for name in _causes(runs)}
    wrong |= {
        "charges lost": lambda run: f"{run.report.counts.lost:,}",
        "wrong answers": lambda run: f"{run.report.counts.wrong_answers:,}",
    }
    groups: list[tuple[str, dict[str, Cell]]] = [
        (
            "What customers meant",
            {
                "operations": lambda run: f"{run.report.counts.intents:,}",
                "purchases": lambda run: f"{run.report.counts.payment_intents:,}",
                "requests, retries too": lambda run: f"{run.report.counts.attempts:,}",
            },
        ),
        ("What went wrong, by cause", wrong),
        ("In money", {f"{currency.upper()} taken too much": _overcharged(currency) for currency in currencies}),
        ("What stood in between", {
            "retries answered with the first answer": lambda run: f"{sum(row['count'] for row in absorbed(run)):,}",
            "redelivered commands answered again": lambda run: f"{redelivered(run):,}",
            "records of aborted Kafka transactions": lambda r: f"{sum(r.report.counts.aborted_records.values()):,}",
        }),
        (
            "The price",
            {
                "operations answered a second": lambda run: f"{run.summary['load']['throughput_per_s']:,.1f}",
                "answered": lambda run: share(run.summary["load"]["answered"], run.summary["load"]["intents"]),
                "half within": _latency("p50"),
                "99 % within": _latency("p99"),
            },
        ),
        ("Faults that hit", {spaced(name): _hits(name) for name in faults}),
    ]  # fmt: skip
    return [
        (group, [(row, [cell(run.finished) for run in runs]) for row, cell in cells.items()])
        for group, cells in groups
        if cells
    ]


def _duplicates(cause: str) -> Cell:
    return lambda run: f"{run.report.counts.duplicates.get(cause, 0):,}"


def _overcharged(currency: str) -> Cell:
    return lambda run: money_text(run.report.counts.overcharged.get(currency, 0), currency).rpartition(" ")[0]


def _latency(name: str) -> Cell:
    return lambda run: duration(run.summary["load"]["latency_ms"][name])


def _hits(fault: str) -> Cell:
    return lambda run: f"{run.summary['faults'].get(fault, {}).get('bitten', 0):,}"


def _promises(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """What each run leaves unproved."""
    told = []
    for one in runs:
        kills = kills_to_expect(float(one.finished.run.get("duration_s", 0.0)))
        report = one.finished.report
        told.append((one.name, missing(report.guarantee, report, one.finished.summary["faults"], kills)))
    return told


def _plot_data(runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "end_s": 1,
        "warm_up_s": 0,
        "faults": [],
        "guarantees": {one.name: curve(one.finished.series.of("all")) for one in runs if one.finished.series.of("all")},
    }
