"""Everything needed to run a finished run again, and what will differ all the same.

In:      `Finished`.
Out:     commands for a shell, facts as (name, value) pairs, the scenario as text.
Source:  the history's run line.
"""

import json
import shlex
from typing import Any, Final

from simulator.report.finished import Finished
from simulator.report.wording import instant

NOT_FIXED: Final = (
    "The seed fixes the customers: who comes when, wants what, pays with which card, clicks how, waits how long.",
    "The seed fixes the plan of the faults: which, when, for how long.",
    "It does not fix what processes, sockets and the kernel do: which request a loss hits, where a kill falls.",
    "So counts and times differ a little from run to run. What a guarantee promises must not.",
)
FLAGS: Final = ("partitions", "processors", "gateways")


def commands(finished: Finished) -> list[str]:
    """What to type: out of the scenario where the run tells it whole, else out of its options."""
    run = finished.run
    scenario = str(run.get("scenario", "checkout"))
    words = ["payonce", "simulate", "scenario.json" if _scenario(run) else scenario, "--seed", str(run.get("seed", 1))]
    if not _scenario(run):
        words += ["--guarantee", str(run.get("guarantee", ""))]
        words += ["--rate", f"{run.get('rate_per_s', 60):g}", "--duration", f"{run.get('duration_s', 30):g}s"]
        words += [word for name in FLAGS if name in run for word in (f"--{name}", str(run[name]))]
    words += ["--processor", str(run["processor"])] if run.get("processor") else []
    told = [shlex.join(words)]
    return [str(run["command"]), *told] if run.get("command") else told


def facts(finished: Finished) -> list[tuple[str, str]]:
    run = finished.run
    machine = run.get("machine") or {}
    told = [
        ("scenario", str(run.get("scenario", ""))),
        ("seed", str(run.get("seed", ""))),
        ("guarantee", str(run.get("guarantee", ""))),
        ("started", instant(finished.told.began_at)),
        ("planned to last", f"{run['duration_s']:g} s" if "duration_s" in run else ""),
        ("purchases a second", f"{run['rate_per_s']:g}" if "rate_per_s" in run else ""),
        ("faults", ", ".join(map(str, run.get("faults", ())))),
        ("partitions", str(run.get("partitions", ""))),
        ("a processor of another make", str(run.get("processor") or "")),
        ("processors", str(run.get("processors", ""))),
        ("gateways", str(run.get("gateways", ""))),
        ("namespace", str(run.get("namespace", ""))),
        ("keys are kept", f"{run['key_ttl_ms'] / 1_000:g} s" if "key_ttl_ms" in run else ""),
        ("machine", str(machine.get("processor", ""))),
        ("cores", str(machine.get("cores", ""))),
        ("memory", f"{machine['memory_bytes'] / 2**30:.1f} GiB" if "memory_bytes" in machine else ""),
        ("load when it began", str(machine.get("load_average", ""))),
        ("system", str(machine.get("system", ""))),
    ]
    told += [(name, str(number)) for name, number in (run.get("versions") or {}).items()]
    return [(name, value) for name, value in told if value]


def scenario_text(finished: Finished) -> str:
    """The scenario file as JSON, which is YAML too; empty where the run does not tell it."""
    scenario = _scenario(finished.run)
    return json.dumps(scenario, indent=2, ensure_ascii=False) if scenario else ""


def about(finished: Finished) -> str:
    """What the scenario says of itself."""
    return str((_scenario(finished.run) or {}).get("about", ""))


def _scenario(run: dict[str, Any]) -> dict[str, Any] | None:
    for name in ("scenario_file", "scenario"):
        if isinstance(run.get(name), dict):
            return dict(run[name])
    return None
