"""A run's figures counted once more with nothing of the product's: json, loops, and the page's own text.

In:      history lines; a folder with report.json, history.jsonl, duplicates.jsonl and report.html.
Out:     what `load` of report.json must say; the numbers inlined in a page; a list of whatever disagrees.
"""

import json
import re
from collections import Counter, defaultdict
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

from pydantic import BaseModel

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def latencies(history: list[dict[str, Any]], since: float = 0) -> list[int]:
    """Milliseconds from the plan to the first answer below 500, of each intent that has one and was planned `since`."""
    planned = {x["intent"]: x.get("planned_at", x["at"]) for x in history if x["kind"] == "intent"}
    settled: dict[str, int] = {}
    for line in history:
        if line["kind"] == "ok" and line["status"] < 500 and not line.get("come_back"):
            settled[line["intent"]] = min(line["at"], settled.get(line["intent"], line["at"]))
    return sorted(max(0, at - planned[intent]) for intent, at in settled.items() if planned[intent] >= since)


def ranked(values: list[int], percent: float) -> int:
    """The value whose rank is nearest to so many percent of all, halves upwards, as HdrHistogram has it."""
    wanted = max(1, int(Decimal(len(values)) * Decimal(str(percent)) / 100 + Decimal("0.5")))
    for rank, value in enumerate(values, start=1):
        if rank == wanted:
            return value
    raise AssertionError("no values")


def is_near(told_ms: float, counted_ms: int) -> bool:
    """Histories have whole milliseconds of another clock, histograms three digits."""
    return abs(told_ms - counted_ms) <= max(3.0, 0.01 * counted_ms)


def count_load(history: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = Counter(line["kind"] for line in history)
    values = latencies(history)
    purchases = sum(line["kind"] == "intent" and line["operation"] == "charge.create" for line in history)
    return {
        "purchases_planned": purchases,
        "purchases_begun": purchases,
        "purchases_dropped": 0,
        "intents": kinds["intent"],
        "answered": len(values),
        "unanswered": kinds["intent"] - len(values),
        "attempts": kinds["invoke"],
        "outcomes": {kind: kinds[kind] for kind in ("ok", "fail", "info") if kinds[kind]},
        "statuses": dict(Counter(str(line["status"]) for line in history if line["kind"] == "ok")),
        "replays": sum(line["kind"] == "ok" and line["replayed"] for line in history),
        "throughput_per_s": 1.0,
        "latency_ms": {f"p{p:g}": ranked(values, p) if values else None for p in (50, 90, 95, 99, 99.9)},
    }


def page_data(page: str) -> dict[str, Any]:
    """The numbers that the plots of a page are drawn from."""
    found = DATA.findall(page)
    assert len(found) == 1, f"{len(found)} blocks of data"
    data: dict[str, Any] = json.loads(found[0])
    return data


def words(page: str) -> str:
    """What a reader reads: no elements, no scripts, no styles."""
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def disagreements(folder: Path) -> list[str]:
    """Everything in report.json and report.html that does not come out the same from the history and the duplicates."""
    summary = json.loads((folder / "report.json").read_text())
    history = read_lines(folder / "history.jsonl")
    repeats = read_lines(folder / "duplicates.jsonl")
    page = (folder / "report.html").read_text()
    data, counted = page_data(page), count_load(history)
    load, counts = summary["load"], summary["audit"]["counts"]
    measured = latencies(history, load.get("began_at", 0) + 1_000 * (load.get("warm_up_s") or 0))
    pairs: dict[str, tuple[Any, Any]] = {
        name: (load[name], counted[name])
        for name in ("intents", "answered", "unanswered", "attempts", "outcomes", "replays")
    }
    ended = Counter(_became(line) for line in history if line["kind"] in ("ok", "fail", "info"))
    columns = {name: sum(column) for name, column in data["columns"].items()}
    pairs |= {f"plot: {name}": (columns[name], ended[name]) for name in columns.keys() & _NAMES}
    pairs |= {
        "plot: planned": (columns["planned"], counted["intents"]),
        "plot: sent": (columns["sent"], counted["attempts"]),
        "plot: answered": (columns["answered"], counted["answered"]),
        "plot: latencies": (sum(cell[2] for cell in data["latency"]["all"]["heat"]), counted["answered"]),
        "plot: p50": (dict(map(tuple, data["curves"]["all"]))[50.0], ranked(measured, 50)),
        **{
            f"p{percent}": (is_near(load["latency_ms"][f"p{percent}"], ranked(measured, percent)), True)
            for percent in (50, 90, 99)
        },
        "page: intents": (f"{counted['intents']:,} operation" in words(page), True),
    }
    causes, taken = Counter(one["cause"] for one in repeats), defaultdict(int)
    for one in repeats:
        taken[one["currency"]] += one["amount"] if one["effect"] == "taken" else 0
    pairs |= {
        "duplicates": ({k: v for k, v in counts["duplicates"].items() if v}, dict(causes)),
        "overcharged": (counts["overcharged"], {k: v for k, v in taken.items() if v}),
        "plot: duplicates": ({name: column[-1] for name, column in data["repeats"].items()}, dict(causes)),
        "plot: money": ({m["currency"]: m["taken"][-1] for m in data["money"]}, {k: v for k, v in taken.items() if v}),
    }
    for name, said in summary["faults"].items():
        phases = Counter(line["phase"] for line in history if line["kind"] == "fault" and line["fault"] == name)
        struck = phases["begin"], phases["hit"]
        drawn = next((one for one in data["faults"] if one["fault"] == name), {"strikes": [], "hits": []})
        pairs[f"fault {name}"] = ((said["injected"], said["bitten"]), struck)
        pairs[f"plot: fault {name}"] = ((len(drawn["strikes"]), sum(n for _, n in drawn["hits"])), struck)
    return [f"{name}: {left!r} is said, {right!r} is counted" for name, (left, right) in pairs.items() if left != right]


def undescribed(model: BaseModel, path: str = "") -> list[str]:
    """The members that are there and that the models do not name."""
    found = [f"{path}.{name}" for name in model.model_extra or {}]
    for name in type(model).model_fields:
        value: Any = getattr(model, name)
        for one in value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]:
            if isinstance(one, BaseModel):
                found += undescribed(one, f"{path}.{name}")
    return found


_NAMES = frozenset({"done", "replayed", "refused", "failed", "unknown"})


def _became(line: dict[str, Any]) -> str:
    if line["kind"] == "fail":
        return "failed"
    if line["kind"] == "info" or line["status"] >= 500:
        return "unknown"
    if line["replayed"]:
        return "replayed"
    return "done" if line["status"] < 400 else "refused"
