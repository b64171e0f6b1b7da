"""The command that makes a run again: the same customers and faults, on a stack of the same shape.

In:      the run line of a history.
Out:     one line for a shell; empty where the line does not say which run it was.
Source:  a run is its scenario and its seed. What was said on the command line is found again by comparing the run's
         scenario with the one of its name that is shipped; what no option can say needs the scenario as a file.
"""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from simulator.scenario.models import Scenario
from simulator.scenario.reading import shipped

_FILE = "head -1 history.jsonl | jq .scenario_file > scenario.json && payonce simulate scenario.json"


def command_of(run: Mapping[str, Any]) -> str:
    seed, name = run.get("seed"), run.get("scenario")
    if seed is None or name is None:
        return ""
    try:
        meant = Scenario.model_validate(run.get("scenario_file"))
    except ValidationError:
        return ""
    tail = ["--seed", str(seed)]
    if run.get("processor"):
        tail += ["--processor", run["processor"]]
    options = _options(shipped()[name], meant) if name in shipped() else None
    if options is None:
        return f"{_FILE} {shlex.join(tail)}"
    return shlex.join(["payonce", "simulate", name, *tail, *options])


def _options(base: Scenario, meant: Scenario) -> list[str] | None:
    """What turns one into the other; None if no options do."""
    options = ["--guarantee", meant.system.guarantee.value]
    for name in type(meant.system).model_fields:
        value = getattr(meant.system, name)
        if name == "breaks":
            options += [word for bug in value for word in ("--break", bug)]
        elif name != "guarantee" and value != getattr(base.system, name):
            options += [f"--{name.replace('_', '-')}", str(value)]
    merchants = meant.load.merchants
    if merchants.count != base.load.merchants.count:
        options += ["--merchants", str(merchants.count)]
        base = base.model_copy(
            update={
                "load": base.load.model_copy(
                    update={"merchants": base.load.merchants.model_copy(update={"count": merchants.count})}
                )
            }
        )
    base = base.model_copy(update={"system": meant.system})
    for rate, duration in _shapes(meant):
        shaped = base if rate is None else base.at_rate(rate)
        shaped = shaped if duration is None else shaped.lasting(duration)
        if shaped == meant:
            return [
                *options,
                *([] if rate is None else ["--rate", f"{rate:g}"]),
                *([] if duration is None else ["--duration", f"{duration:g}s"]),
            ]
    return None


def _shapes(meant: Scenario) -> Iterator[tuple[float | None, float | None]]:
    """Rates and durations that may have been asked for: multiplied out they are seldom round any more."""
    rate, duration = round(meant.load.highest_rate, 6), round(meant.duration_s, 6)
    for asked_rate in (None, rate):
        for asked_duration in (None, duration):
            yield asked_rate, asked_duration
