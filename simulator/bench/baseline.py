"""Ratios of a minute's measurement, held against those that were measured when all was well.

In:      a smoke measurement; the committed baseline.json.
Out:     Ratios by name; one sentence for each that became worse than its bound allows.
Units:   ratios have none; costs in units of work of this machine (bench.reference).
Errors:  InvalidBaseline, one sentence.
Source:  CI's machine is not the one that the baseline is of, and is never quiet: so no time is compared, ratios within
         one run only, and each may become worse by the factor that stands beside it.

Pure: no clock, nothing is read.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from simulator.bench.measured import WHOLE_CPU, Measured
from simulator.bench.spread import Spread, in_words

EXACTLY_ONCE: Final = "payonce-exactly-once"


class Known(NamedTuple):
    """One ratio: how it is named, and whether more of it is better."""

    name: str
    more_is_better: bool
    allowed: float  # by this factor it may be worse than the baseline's


def of_guarantee(guarantee: str) -> Known:
    return Known(f"commands/s, exactly-once by {guarantee}", more_is_better=True, allowed=2.0)


GUARANTEES: Final = ("deduplicated", "at-least-once", "at-most-once")
MANY_BY_FEW: Final = Known("CPU a command, 64 partitions by 4", more_is_better=False, allowed=2.0)
BY_DEDUPLICATED: Final = Known("CPU a command, exactly-once by deduplicated", more_is_better=False, allowed=1.5)
COST: Final = Known("CPU a command, in units of work", more_is_better=False, allowed=2.0)
# Two cores that the broker and others want too: of all of them this says most about the machine's day.
RATE: Final = Known("commands/s, by units of work a second", more_is_better=True, allowed=6.0)
KNOWN: Final = {
    one.name: one for one in (*[of_guarantee(each) for each in GUARANTEES], BY_DEDUPLICATED, MANY_BY_FEW, COST, RATE)
}


class InvalidBaseline(ValueError):
    """The file is not a baseline."""


def ratios(measured: Measured, few: str, many: str, unit_us: float) -> dict[str, Spread]:
    """`few` and `many` are the settings of few and many partitions; a unit of work took `unit_us` of CPU."""
    found: dict[str, Spread | None] = {
        of_guarantee(guarantee).name: measured.ratio_of(few, EXACTLY_ONCE, f"payonce-{guarantee}", "steady_per_s")
        for guarantee in GUARANTEES
    }
    found[BY_DEDUPLICATED.name] = measured.ratio_of(few, EXACTLY_ONCE, "payonce-deduplicated", WHOLE_CPU.name)
    rows = {(row.setting, row.subject): row.figures for row in measured.rows()}
    here, there = rows.get((few, EXACTLY_ONCE)), rows.get((many, EXACTLY_ONCE))
    if here is not None:
        found[COST.name] = _scaled(here[WHOLE_CPU.name], 1 / unit_us)
        found[RATE.name] = _scaled(here["steady_per_s"], unit_us / 1e6)
    if here is not None and there is not None:
        found[MANY_BY_FEW.name] = measured.ratio_between(few, many, EXACTLY_ONCE, WHOLE_CPU.name)
    return {name: spread for name, spread in found.items() if spread is not None}


def _scaled(spread: Spread | None, by: float) -> Spread | None:
    if spread is None:
        return None
    return spread._replace(median=spread.median * by, low=spread.low * by, high=spread.high * by)


def baseline_json(found: Mapping[str, Spread]) -> dict[str, Any]:
    """What is committed of one kind of hot path: each ratio as it was, and by which factor it may be worse."""
    return {
        name: {
            "was": round(spread.median, 4),
            "better": "more" if KNOWN[name].more_is_better else "less",
            "may_be_worse_by": KNOWN[name].allowed,
        }
        for name, spread in found.items()
    }


def read_baseline(text: str, hot_path: str) -> dict[str, dict[str, Any]]:
    """A native hot path makes other ratios than one in Python."""
    try:
        told = json.loads(text)[hot_path]
        return {
            str(name): {
                "was": float(one["was"]),
                "better": {"more": "more", "less": "less"}[one["better"]],
                "may_be_worse_by": float(one["may_be_worse_by"]),
            }
            for name, one in told.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidBaseline(f"it is no baseline of this version ({error!r})") from None


def regressed(found: Mapping[str, Spread], baseline: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One sentence for each ratio beyond its bound, or that was not measured any more."""
    sentences = []
    for name, one in baseline.items():
        spread = found.get(name)
        if spread is None:
            sentences.append(f"{name}: it was {one['was']:.2f}, and this time nothing was measured.")
            continue
        more = one["better"] == "more"
        bound = one["was"] / one["may_be_worse_by"] if more else one["was"] * one["may_be_worse_by"]
        # The best round counts: whatever else the machine does makes a round worse, never better.
        best = spread.high if more else spread.low
        if best < bound if more else best > bound:
            sentences.append(
                f"{name}: {in_words(spread, 2)}, it was {one['was']:.2f} and may be"
                f" {'no less' if more else 'no more'} than {bound:.2f}."
            )
    return sentences
