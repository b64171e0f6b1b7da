"""Folders of finished runs without a Kafka: a log written by hand, its audit, and the history that goes with it.

In:      a folder; what the customers are called.
Out:     DIR/report.json, history.jsonl, duplicates.jsonl, as a run leaves them.
Units:   Unix milliseconds beginning at START.
"""

import json
from pathlib import Path
from typing import Any

from simulator.defences import DEFENCES, SERVERS, Cell, defences_json, lessons
from simulator.report.finished import DUPLICATES, write_duplicates
from simulator.report.rendering import render_folder
from tests.support.recounting import count_load
from tests.support.written_log import START, WrittenLog

# What somebody may have typed as a key, a description or a name, to see whether it runs.
ATTACK = """</script><img src=x onerror="document.title='run'"><!--{{7*7}}${alert(1)}&amp;'"""
GATEWAY = "http://127.0.0.1:1"


def charged_twice(folder: Path, *, attack: str = "") -> Path:
    """At least once: one charge repeated by a retry after a lost answer, one by a crash, one healthy, one declined."""
    log = WrittenLog("at-least-once")
    lost = f"i-1{attack}"
    log.fault("lose_response", "begin", number=1)
    log.meant(lost)
    first = log.command(f"key-1{attack}", metadata={"intent": lost}, description=attack or None)
    log.sent(lost, first)
    log.executed(first, only="event reply")
    log.fault("lose_response", "hit", gateway=GATEWAY, manner=f"reset{attack}", bytes=120)
    log.unknown(lost, reason=f"the connection was reset: {attack or 'by peer'}")
    second = log.command(f"key-1{attack}", metadata={"intent": lost}, description=attack or None)
    log.sent(lost, second, attempt=2)
    log.heard(lost, log.executed(second, only="event reply"), attempt=2)
    log.fault("lose_response", "end", number=1, hits=1)

    log.now += 900
    log.fault("kill_processor", "begin", number=1)
    log.meant("i-2")
    crashed = log.command("key-2", metadata={"intent": "i-2"}, amount=700)
    log.sent("i-2", crashed)
    answer = log.executed(crashed, only="event reply")
    log.event_again(crashed)
    log.fault("kill_processor", "hit", process="processor 0", pid=1, moment="between the charge and its offset")
    log.heard("i-2", answer)
    log.fault("kill_processor", "end", number=1, hits=1)

    for intent, card in (("i-3", "pm_card_visa"), ("i-4", "pm_card_declined")):
        log.now += 300
        log.meant(intent)
        command = log.command(f"key of {intent}", metadata={"intent": intent}, payment_method=card)
        log.sent(intent, command)
        log.heard(intent, log.executed(command, only="event reply"))
    return leave(folder, log, attack)


def charged_once(folder: Path) -> Path:
    """Exactly once: the same lost answer, and the retry gets the first answer again."""
    log = WrittenLog("exactly-once")
    log.fault("lose_response", "begin", number=1)
    log.meant("i-1")
    first = log.command("key-1", metadata={"intent": "i-1"})
    log.sent("i-1", first)
    answer = log.executed(first)
    log.fault("lose_response", "hit", gateway=GATEWAY, manner="reset", bytes=120)
    log.unknown("i-1", reason="the connection was reset: by peer")
    second = log.command("key-1", metadata={"intent": "i-1"})
    log.sent("i-1", second, attempt=2)
    log.reply(second, 201, answer["body"], replayed=True)
    log.heard("i-1", answer, attempt=2, replayed=True)
    log.fault("lose_response", "end", number=1, hits=1)
    return leave(folder, log)


def defences_compared(folder: Path, *, attack: str = "", less: str = "") -> Path:
    """What `compare --defences` leaves, its runs written by hand; `less` is a server that was not come to."""
    twice = Cell(2, 2, 2, 2, {"eur": 1200})
    columns = {
        "strict": {"changed_amount_new_key": twice, "changed_amount": Cell(2, 1, not_paid={"422": 1})},
        "optional": {"careful": Cell(1, 1)},
        "no dedupe": {"careful": twice, "no_key": Cell(2, 1, not_paid={"402": 1})},
    }
    columns.pop(less, None)
    table = {name: {d.persona: cells.get(d.persona, Cell()) for d in DEFENCES} for name, cells in columns.items()}
    for server in SERVERS:
        if server.name == "optional":
            charged_once(folder / server.folder)
        elif server.name in table:
            charged_twice(folder / server.folder, attack=attack)
    plain = defences_json(7, table, lessons(table) if len(table) == len(SERVERS) else [])
    (folder / "defences.json").write_text(json.dumps(plain))
    return folder


def searched(folder: Path, threshold: str = "p99<100ms") -> Path:
    """A search for the highest rate: three held; one too slow, one whose generator fell behind, one with nothing."""
    folder = charged_once(folder)
    tried = [
        (50.0, 27.3, []),
        (100.0, 39.1, []),
        (200.0, 139.3, [f"{threshold} did not hold"]),
        (150.0, 61.5, ["the load generator did not keep up"]),
        (125.0, None, [f"{threshold} did not hold"]),
        (100.0, 41.2, []),
    ]
    steps = [
        {
            "step": number,
            "rate_per_s": rate,
            "held": not why,
            "why": why,
            "value": value,
            "requests_per_s": rate * 1.3,
            "latency_ms": {"p50": value and value / 2, "p99": value},
            "backlog": {"most_commands": 2, "at_last_arrival": 0, "drained_s": 0.1 if value else None},
            "generator": {"kept_up": "the load generator did not keep up" not in why},
        }
        for number, (rate, value, why) in enumerate(tried, start=1)
    ]
    summary = json.loads((folder / "report.json").read_text())
    summary["find_max"] = {
        "threshold": threshold,
        "rate_per_s": 100.0,
        "fails_at_per_s": 125.0,
        "confirmed": False,
        "values": [39.1, 41.2],
        "steps": steps,
        "says": f"{threshold} holds up to 100.0 purchases/s, and not at 125.0.",
    }
    (folder / "report.json").write_text(json.dumps(summary))
    return folder


def leave(folder: Path, log: WrittenLog, attack: str = "") -> Path:
    """Write the three files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    report = log.audit()
    assert log.history is not None
    run = {**run_line(log.guarantee, attack), "faults": sorted({x["fault"] for x in log.history if "fault" in x})}
    history = [{"kind": "run", **run}, *log.history[1:]]
    return leave_files(folder, run, history, report.to_json(), report.repeats)


def leave_files(folder: Path, run: dict[str, Any], history: list[Any], audit: Any, repeats: Any = ()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "history.jsonl").open("w") as file:
        file.writelines(json.dumps(line) + "\n" for line in history)
    faults: dict[str, dict[str, int]] = {}
    for line in history:
        if line["kind"] == "fault":
            counts = faults.setdefault(line["fault"], {"injected": 0, "bitten": 0})
            counts["injected"] += line["phase"] == "begin"
            counts["bitten"] += line["phase"] == "hit"
    summary = {
        "schema": 1,
        "run": run,
        "load": count_load(history),
        "faults": faults,
        "unsettled": [],
        "interrupted": False,
        "took_s": {"start": 1.0, "load_and_settle": 2.0, "audit": 0.5},
        "audit": audit,
        "thresholds": [
            {"threshold": "p99 < 250ms", "value": 12.5, "held": True},
            {"threshold": "duplicate_charge == 0", "value": 2.0, "held": False},
        ],
    }
    (folder / "report.json").write_text(json.dumps(summary))
    write_duplicates(folder / DUPLICATES, repeats)
    return folder


def run_line(guarantee: str, attack: str = "") -> dict[str, Any]:
    return {
        "seed": 7,
        "guarantee": guarantee,
        "namespace": "payments",
        "scenario": f"checkout{attack}",
        "scenario_file": {"name": "checkout", "about": attack},
        "rate_per_s": 3.0,
        "duration_s": 2.0,
        "key_ttl_ms": 86_400_000,
        "partitions": 1,
        "processors": 1,
        "gateways": 1,
        "command": f"payonce simulate --seed 7{attack}",
        "versions": {"payonce": "0", "python": "3"},
        "machine": {"processor": f"some{attack}", "cores": 2},
        "started_at": START,
    }


def page_of(folder: Path) -> str:
    """Of the files of a run, made anew."""
    render_folder(folder)
    return (folder / "report.html").read_text(encoding="utf-8")
