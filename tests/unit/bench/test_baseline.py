"""Ratios held against the committed ones."""

import json

import pytest

from simulator.bench.baseline import (
    COST,
    KNOWN,
    MANY_BY_FEW,
    InvalidBaseline,
    baseline_json,
    of_guarantee,
    ratios,
    read_baseline,
    regressed,
)
from simulator.bench.measured import SMOKE, Measured
from simulator.bench.spread import Spread
from simulator.commands.bench import BASELINE

BY_DEDUPLICATED = of_guarantee("deduplicated").name


def at(value: float) -> Spread:
    return Spread(value, value * 0.9, value * 1.1, 2)


def measured() -> Measured:
    def run(setting: str, subject: str, number: int, per_s: float, cpu_us: float) -> dict[str, object]:
        return {
            "setting": setting,
            "subject": subject,
            "round": number,
            "commands": 100,
            "steady_per_s": per_s,
            "whole_subject_cpu_us": cpu_us,
        }

    runs = [
        run("few", "payonce-exactly-once", 1, 900.0, 30.0),
        run("few", "payonce-deduplicated", 1, 1_000.0, 25.0),
        run("many", "payonce-exactly-once", 1, 800.0, 45.0),
        run("few", "payonce-exactly-once", 2, 450.0, 30.0),
        run("few", "payonce-deduplicated", 2, 500.0, 25.0),
        run("many", "payonce-exactly-once", 2, 400.0, 60.0),
    ]
    return Measured(SMOKE, options={}, machine={}, began_at=0, runs=runs)


def test_ratios_are_of_one_run_on_one_machine() -> None:
    """A round at half the speed has the same ratio; costs are in units of work."""
    found = ratios(measured(), "few", "many", unit_us=3.0)
    assert found[BY_DEDUPLICATED] == Spread(0.9, 0.9, 0.9, 2)
    assert found[MANY_BY_FEW.name] == Spread(1.75, 1.5, 2.0, 2)
    assert found[COST.name].median == pytest.approx(10.0)
    assert of_guarantee("at-most-once").name not in found


def test_what_was_committed_does_not_regress_against_itself() -> None:
    """Whatever ratios there are."""
    found = {name: at(1.0) for name in KNOWN}
    assert not regressed(found, read_baseline(json.dumps({"native": baseline_json(found)}), "native"))


@pytest.mark.parametrize(
    ("better", "seen", "is_worse"),
    [
        ("more", Spread(0.60, 0.55, 0.65, 2), False),
        ("more", Spread(0.45, 0.40, 0.49, 2), True),
        ("more", Spread(0.45, 0.20, 0.51, 2), False),
        ("more", at(9.0), False),
        ("less", Spread(1.90, 1.80, 2.50, 2), False),
        ("less", Spread(2.50, 2.10, 2.90, 2), True),
        ("less", Spread(2.50, 1.90, 2.90, 2), False),
        ("less", at(0.1), False),
    ],
)
def test_a_ratio_regresses_when_its_best_round_is_beyond_the_bound(better: str, seen: Spread, is_worse: bool) -> None:
    """By the factor of two that is allowed here, and only in the direction that is worse."""
    known = {"a ratio": {"was": 1.0, "better": better, "may_be_worse_by": 2.0}}
    told = regressed({"a ratio": seen}, known)
    assert bool(told) == is_worse
    assert all(sentence.startswith("a ratio: ") for sentence in told)


def test_a_ratio_that_is_measured_no_more_is_told() -> None:
    """Otherwise a subject that fails would pass."""
    (sentence,) = regressed({}, {"a ratio": {"was": 1.0, "better": "more", "may_be_worse_by": 2.0}})
    assert "nothing was measured" in sentence


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"native": {"one": {"was": 1}}}', '{"native": {"one": 1}}', '{"python": {}}']
)
def test_what_is_no_baseline_is_told_in_a_sentence(text: str) -> None:
    """Not a traceback."""
    with pytest.raises(InvalidBaseline, match="no baseline of this version"):
        read_baseline(text, "native")


@pytest.mark.parametrize("hot_path", ["native", "python"])
def test_the_committed_baseline_has_every_ratio_that_is_measured(hot_path: str) -> None:
    """And no other."""
    assert read_baseline(BASELINE.read_text(), hot_path).keys() == KNOWN.keys()
