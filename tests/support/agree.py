"""Whether another auditor, with other code, counts what ours counts: `python -m tests.support.agree --seeds 1-12`.

In:      seeds, guarantees; a short scenario with faults for each.
Out:     one line a run; exit code 1 where the two disagree in any number.
Units:   money in minor units per currency.

The other auditor reads the topics `read_committed` with the outside reader of the truth test, and knows customers from
the history alone: which intent sent which command follows from key and merchant. Nothing of `simulator` is used for it.
"""

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.support.brokers import own_broker
from tests.support.outside.book import Book, read_book
from tests.support.outside.kafka import Kafka
from tests.support.outside.once import (
    every_command_is_answered,
    key_record_is_event,
    nothing_is_lost,
    one_event_per_executed_command,
    one_execution_per_key,
)
from tests.support.outside.stack import Stack

GUARANTEES = ("at-most-once", "at-least-once", "deduplicated", "exactly-once")
TOPICS = ("commands", "keys", "charges", "replies", "dead-letters")
TAKES = {"charge.succeeded", "charge.captured"}
SCENARIO = """
name: agree
load:
  stages: [{for: 9s, rate: 40}]
  personas: {careful: 4, double_clicker: 2, lost_connection: 2, key_per_retry: 1, swr_mutation: 1}
faults:
  - {fault: lose_response, at: [1s], lasts: 6s, share: 0.15}
  - {fault: lose_request, at: [1s], lasts: 6s}
  - {fault: kill_processor, at: [2s]}
  - {fault: deliver_twice, at: [1s], lasts: 5s}
"""


class Counted(dict[str, Any]):
    """What both count, by name."""


def ours(report: Mapping[str, Any]) -> Counted:
    counts = report["audit"]["counts"]
    return Counted(
        commands=counts["commands"],
        charges=counts["charges"],
        events={name: count for name, count in counts["events"].items() if count},
        replies=counts["replies"],
        dead_letters=counts["dead_letters"],
        duplicates=sum(counts["duplicates"].values()),
        overcharged={name: amount for name, amount in counts["overcharged"].items() if amount},
    )


def theirs(book: Book, history: Iterable[Mapping[str, Any]]) -> Counted:
    """Counted from the topics, and the intents of the history."""
    intents = {(line["merchant_id"], line["idempotency_key"]): line["intent"] for line in history}
    executed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in sorted((one for one in book.events), key=lambda one: one.at):
        content = event.content
        if content["type"] != "charge.declined":
            executed[intents[content["merchant_id"], content["idempotency_key"]]].append(content)
    overcharged: Counter[str] = Counter()
    for events in executed.values():
        for again in events[1:]:
            if again["type"] in TAKES:
                overcharged[again["currency"]] += again["amount"]
    types = Counter(one.content["type"] for one in book.events)
    return Counted(
        commands=len(book.commands),
        charges=types["charge.succeeded"] + types["charge.authorized"],
        events=dict(types),
        replies=len(book.replies),
        dead_letters=len(book.dead),
        duplicates=sum(len(events) - 1 for events in executed.values()),
        overcharged=dict(overcharged),
    )


def convicted(book: Book) -> list[str]:
    """What the truth test's own checks find wrong with an exactly-once log."""
    checks = (
        one_event_per_executed_command,
        one_execution_per_key,
        key_record_is_event,
        nothing_is_lost,
        every_command_is_answered,
    )
    return [said for check in checks for said in check(book)]


async def read_topics(servers: str, namespace: str) -> Book:
    kafka = Kafka(cast("Stack", SimpleNamespace(kafka=servers, namespace=namespace)))
    partitions = await kafka.partitions()
    ends = await kafka.ends("read_committed", partitions)
    records = await kafka.records("read_committed", {where: (0, end) for where, end in ends.items()})
    topics: dict[str, dict[int, Any]] = {topic: {one: [] for one in range(partitions)} for topic in TOPICS}
    for where, found in records.items():
        topics[kafka.topic(where)][where.partition] = found
    return read_book(partitions, topics)


def compare(servers: str, directory: Path, seed: int, guarantee: str) -> list[str]:
    """One run, and where the two auditors differ."""
    scenario = directory / "agree.yaml"
    scenario.write_text(SCENARIO)
    payonce = Path(sys.executable).with_name("payonce")
    command = [payonce, "simulate", scenario, "--kafka", servers, "--dir", directory, "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--guarantee", guarantee], capture_output=True, text=True, timeout=110, check=False
    )
    if done.returncode not in (0, 1, 3):
        return [f"exit code {done.returncode}: {done.stderr[-300:]}"]
    report = json.loads((directory / "report.json").read_text())
    lines = [json.loads(line) for line in (directory / "history.jsonl").read_text().splitlines()]
    book = asyncio.run(read_topics(servers, report["run"]["namespace"]))
    left, right = ours(report), theirs(book, [line for line in lines if line["kind"] == "invoke"])
    wrong = [f"{name}: ours {left[name]}, theirs {right[name]}" for name in left if left[name] != right[name]]
    if guarantee == "exactly-once":
        wrong += convicted(book)
        other = {one["name"] for one in report["audit"]["anomalies"] if one["cause"] != "new_key"}
        wrong += [f"ours convicts of {name}" for name in sorted(other)]
    elif not right["duplicates"]:
        wrong.append("nothing was charged twice: the run shows nothing")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.agree", description=__doc__)
    parser.add_argument("--seeds", default="1-3", help="FIRST-LAST")
    parser.add_argument("--guarantee", action="append", choices=GUARANTEES)
    asked = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    first, _, last = asked.seeds.partition("-")
    disagreements = 0
    with tempfile.TemporaryDirectory() as made, own_broker() as broker:
        for seed in range(int(first), int(last or first) + 1):
            for guarantee in asked.guarantee or GUARANTEES:
                directory = Path(made) / f"{seed}-{guarantee}"
                directory.mkdir()
                wrong = compare(broker.bootstrap_servers, directory, seed, guarantee)
                disagreements += bool(wrong)
                print(f"seed {seed} {guarantee}: {'; '.join(wrong) or 'agreed'}", flush=True)
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
