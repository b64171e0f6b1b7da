"""The numbers that the page's plots are drawn from: plain values, one JSON document inlined in the page.

In:      `Finished`.
Out:     dictionaries of lists; the keys are those that assets/report.js reads.
Units:   seconds since the start of the run; milliseconds of latency; money in minor units with its digits.
"""

from collections import Counter
from itertools import accumulate
from typing import Any, Final

from simulator.money_text import digits_of
from simulator.report.finished import Finished
from simulator.report.folding import Strike
from simulator.report.rates import rates_plot
from simulator.report.series import BINS_PER_DECADE, OUTCOMES, STORIES, curve

STRIKES_MAX: Final = 400  # drawn of one fault; all are counted


def plot_data(finished: Finished) -> dict[str, Any]:
    series = finished.series
    width_s = series.width_ms / 1_000.0
    answered = [story for story in ("all", *STORIES[:3]) if series.of(story)]
    return {
        "width_s": width_s,
        "end_s": series.length * width_s,
        "starts_s": series.starts_s,
        "warm_up_s": max(0.0, (finished.measured_from - finished.told.began_at) / 1_000.0),
        "faults": _faults(finished),
        "find_max": rates_plot(finished.summary),
        "columns": {name: series.columns[name] for name in ("planned", "sent", "answered", *OUTCOMES)},
        "bins_per_decade": BINS_PER_DECADE,
        "latency": {
            story: {
                "p50": series.quantile(story, 50),
                "p99": series.quantile(story, 99),
                "heat": series.heat(story),
            }
            for story in answered
        },
        "curves": {story: curve(series.of(story)) for story in answered},
        "repeats": {
            name.removeprefix("repeat "): list(accumulate(column))
            for name, column in series.columns.items()
            if name.startswith("repeat ")
        },
        "money": [
            {"currency": currency, "digits": digits_of(currency), "taken": list(accumulate(column))}
            for currency, column in sorted(_overcharged(finished).items())
        ],
    }


def _overcharged(finished: Finished) -> dict[str, list[int]]:
    return {
        name.removeprefix("overcharged "): column
        for name, column in finished.series.columns.items()
        if name.startswith("overcharged ")
    }


def _faults(finished: Finished) -> list[dict[str, Any]]:
    """One entry a fault: its strikes as [begin, end], and its hits by bucket as [begin, how many]."""
    began_at, series = finished.told.began_at, finished.series
    by_name: dict[str, list[Strike]] = {}
    for strike in finished.told.strikes:
        by_name.setdefault(strike.fault, []).append(strike)
    entries = []
    for name, strikes in sorted(by_name.items()):
        hits = Counter((at - began_at) // series.width_ms for strike in strikes for at, _ in strike.hits)
        entries.append(
            {
                "fault": name,
                "single_requests": any("gateway" in detail for one in strikes for _, detail in one.hits),
                "strikes": [
                    [
                        round((one.began_at - began_at) / 1_000.0, 3),
                        round(((one.ended_at or finished.told.last_at) - began_at) / 1_000.0, 3),
                    ]
                    for one in strikes[:STRIKES_MAX]
                ],
                "hits": [[index * series.width_ms / 1_000.0, count] for index, count in sorted(hits.items())],
            }
        )
    return entries
