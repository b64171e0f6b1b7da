"""The plots' numbers as tables, for whoever cannot see a plot or wants the digits.

In:      `Finished`.
Out:     `Table`s of text.
Units:   in the heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from simulator.money_text import money_text
from simulator.report.finished import Finished
from simulator.report.series import PERCENTILES, STORIES, told_percentiles
from simulator.report.wording import OUTCOMES, clock, duration, spaced
from simulator.report.wording import STORIES as STORY_WORDS


@dataclass(frozen=True)
class Table:
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def columns(finished: Finished, names: Sequence[str]) -> Table:
    series = finished.series
    rows = [
        (clock(start), *(f"{series.columns[name][index]:,}" for name in names))
        for index, start in enumerate(series.starts_s)
    ]
    return Table((f"from, each {series.width_ms / 1_000:g} s", *(OUTCOMES.get(name, name) for name in names)), rows)


def latency(finished: Finished) -> Table:
    series = finished.series
    p50, p99 = series.quantile("all", 50), series.quantile("all", 99)
    rows = [
        (clock(start), duration(p50[index]), duration(p99[index]))
        for index, start in enumerate(series.starts_s)
        if p50[index] is not None
    ]
    return Table(("planned from", "half within", "99 % within"), rows)


def percentiles(finished: Finished) -> Table:
    rows = []
    for story in ("all", *STORIES[:3]):
        values = finished.series.of(story)
        if values:
            told = told_percentiles(values)
            cells = (duration(told[f"p{point:g}"]) for point in PERCENTILES)
            rows.append((STORY_WORDS.get(story, story), f"{len(values):,}", *cells))
    return Table(("", "operations", *(f"p{point:g}" for point in PERCENTILES[:-1]), "longest"), rows)


def currencies(finished: Finished) -> list[str]:
    prefix = "overcharged "
    return sorted(name.removeprefix(prefix) for name in finished.series.columns if name.startswith(prefix))


def money(finished: Finished) -> Table:
    series, names = finished.series, currencies(finished)
    sums = {name: list(accumulate(series.columns[f"overcharged {name}"])) for name in names}
    rows = [
        (clock(start + series.width_ms / 1_000), *(money_text(sums[name][index], name) for name in names))
        for index, start in enumerate(series.starts_s)
    ]
    return Table(("until", *(name.upper() for name in names)), rows)


def repeats(finished: Finished) -> Table:
    series = finished.series
    names = sorted(name for name in series.columns if name.startswith("repeat "))
    rows = [
        (clock(start), *(f"{series.columns[name][index]:,}" for name in names))
        for index, start in enumerate(series.starts_s)
    ]
    return Table(("from", *(spaced(name.removeprefix("repeat ")) for name in names)), rows)
