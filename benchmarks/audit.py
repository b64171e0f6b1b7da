"""How fast `payonce audit` reads and judges a log, with or without a history, and how much memory it takes.

In:      --commands N, --partitions P, --merchants M; --dir DIR keeps the log there, and uses it again if it is there;
         --history: with what the customers of those commands would have written down.
Out:     one JSON line: records, seconds, records per second; peak resident memory and CPU seconds of the auditor and
         its processes together.
Units:   seconds, MiB.

`python -m benchmarks.audit` puts commands on a log (seven in ten creations, two retries, one refund), has a real
processor execute them, and audits what it left behind with the command line's own `payonce audit`. The history is made
of the log: every command is a request that was answered with its reply; a retry is the customer's second attempt.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import psutil

from benchmarks.throughput import until_done
from events.connection import connection
from events.identifiers import charge_id
from events.partitioner import partition_of
from events.topics import topic_name
from services.kafka.errors import Retriable
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, TopicPartition
from simulator.broker.embedded import EmbeddedBroker
from simulator.log_reader import LogReader
from tests.support.services import service

NAMESPACE = "bench"
BATCH = 20_000
SAMPLE_S = 0.2
RETRIED_WITHIN = 5_000  # commands


def commands(count: int, merchants: int, declined: int) -> Iterator[tuple[str, bytes]]:
    """Merchant and value of each command; of every so many creations (0: none) the card of one declines."""
    now_ms = time.time_ns() // 1_000_000
    recent: deque[tuple[str, str, str, dict[str, object]]] = deque(maxlen=RETRIED_WITHIN)
    for number in range(count):
        command_id = str(uuid.UUID(int=(now_ms << 80) | (7 << 76) | (2 << 62) | number))
        kind = number % 10 if number > RETRIED_WITHIN else 0
        if kind in (7, 8):
            merchant, key, _, payload = recent[number * 7919 % len(recent)]
            operation = "charge.create"
        elif kind == 9:
            merchant, _, charge, _ = recent[number * 104_729 % len(recent)]
            operation, key, payload = "refund.create", f"refund-{number:010d}", {"charge_id": charge, "amount": 1}
        else:
            merchant, key = f"merchant{number % merchants}", f"order-{number:010d}"
            operation = "charge.create"
            payload = {
                "amount": 100 + number % 100_000,
                "currency": "eur",
                "payment_method": "pm_card_expired" if declined and number % declined == 0 else "pm_card_visa",
                "description": f"order {number}",
                "metadata": {"order": str(number), "shop": merchant},
            }
            recent.append((merchant, key, charge_id(merchant, command_id), payload))
        value = {
            "command_id": command_id,
            "type": operation,
            "merchant_id": merchant,
            "idempotency_key": key,
            "issued_at": now_ms,
            "deadline_at": now_ms + 24 * 3_600_000,
            "payload": payload,
        }
        yield merchant, orjson.dumps(value)


async def fill(bootstrap: str, folder: Path, options: argparse.Namespace) -> None:
    """A log of that many commands, all executed."""
    kafka = await KafkaLog.connect(connection(bootstrap), client_id="payonce-benchmark")
    await kafka.ensure_topics(NAMESPACE, options.partitions)
    topic, writer = topic_name(NAMESPACE, "commands"), await kafka.plain_writer()
    loads: dict[TopicPartition, list[Outgoing]] = {}
    total = {TopicPartition(topic, partition): 0 for partition in range(options.partitions)}
    for number, (merchant, value) in enumerate(commands(options.commands, options.merchants, options.declined), 1):
        where = TopicPartition(topic, partition_of(merchant.encode(), options.partitions))
        loads.setdefault(where, []).append(Outgoing(merchant.encode(), value))
        total[where] += 1
        if number % BATCH == 0 or number == options.commands:
            await writer.produce(loads)
            loads = {}
    await writer.close()
    environment = {
        "PAYONCE_KAFKA": bootstrap,
        "PAYONCE_NAMESPACE": NAMESPACE,
        "PAYONCE_PARTITIONS": str(options.partitions),
    }
    with service("processor", folder / "processor", environment):
        ends: dict[TopicPartition, list[Outgoing]] = {
            where: [Outgoing(b"", b"")] * count for where, count in total.items() if count
        }
        while True:
            try:
                await until_done(kafka, ends, options.partitions)
                break
            except Retriable:  # a busy machine: the offsets of a Kafka transaction that takes long are not stable
                continue
    await kafka.close()


async def write_history(bootstrap: str, path: Path) -> None:
    """What the customers whose commands these are meant, asked and heard."""
    lines: list[tuple[int, bytes]] = []
    async with LogReader(connection(bootstrap), NAMESPACE) as log:
        for partition in range(log.extent.partitions):
            answers: dict[str, dict[str, object]] = {}
            async for entries in log.read("replies", partition):
                for entry in entries:
                    reply = orjson.loads(entry.value or b"")
                    answers[reply["command_id"]] = {**reply, "at": entry.timestamp + 2}
            asked: dict[str, int] = {}
            async for entries in log.read("commands", partition):
                for entry in entries:
                    command = orjson.loads(entry.value or b"")
                    intent = f"{command['merchant_id']}-{command['idempotency_key']}"
                    attempt = asked[intent] = asked.get(intent, 0) + 1
                    lines += _told(intent, attempt, entry.timestamp - 1, command, answers[command["command_id"]])
    lines.sort(key=lambda line: line[0])
    with path.open("wb") as file:
        began = lines[0][0] - 1
        run = {"kind": "run", "at": began, "started_at": began, "namespace": NAMESPACE, "guarantee": "exactly-once"}
        file.write(orjson.dumps(run, option=orjson.OPT_APPEND_NEWLINE))
        file.writelines(line for _, line in lines)


def _told(
    intent: str, attempt: int, at: int, command: dict[str, object], answer: dict[str, object]
) -> Iterator[tuple[int, bytes]]:
    """The two or three lines of one request, each with its instant."""
    asks = {"merchant_id": command["merchant_id"], "operation": command["type"], "payload": command["payload"]}
    head = {"intent": intent, "attempt": attempt}
    heard_at = max(at + 1, int(str(answer["at"])))
    heard = {name: answer[name] for name in ("status", "replayed", "body")}
    told = [
        {"kind": "invoke", **head, "at": at, **asks, "idempotency_key": command["idempotency_key"], "gateway": "g"},
        {"kind": "ok", **head, "at": heard_at, **heard},
    ]
    if attempt == 1:
        told.insert(0, {"kind": "intent", "intent": intent, "at": at, "planned_at": at, **asks, "persona": "bench"})
    for line in told:
        yield int(str(line["at"])), orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def audit(bootstrap: str, more: list[str]) -> dict[str, object]:
    """One `payonce audit`, as a process of its own."""
    command = [sys.executable, "-m", "simulator.cli", "audit", "--kafka", bootstrap, "--namespace", NAMESPACE, "--json"]
    began = time.monotonic()
    process = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    peak = [0]
    threading.Thread(target=_watch, args=(process.pid, peak), daemon=True).start()
    told = [line.strip() for line in process.stderr]
    report = json.loads(process.stdout.read())
    _, _, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    read = [line.split() for line in told if line.startswith("reading ") and line.endswith(" records")]
    records = sum({words[1]: int(words[2]) for words in read}.values())
    return {
        "records": records,
        "commands": report["counts"]["commands"],
        "verdict": report["verdict"],
        "seconds": round(seconds, 1),
        "records_per_second": round(records / seconds),
        "peak_mib": peak[0] >> 20,
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
    }


def _watch(pid: int, peak: list[int]) -> None:
    """The most that the process and its children ever had resident together."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while True:
            resident = 0
            for one in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    resident += one.memory_info().rss
            peak[0] = max(peak[0], resident)
            time.sleep(SAMPLE_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=300_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--merchants", type=int, default=64)
    parser.add_argument("--declined", type=int, default=0, help="Of so many creations one is declined; 0: none.")
    parser.add_argument("--dir", type=Path, help="Keep the log here, and use it again.")
    parser.add_argument("--history", action="store_true", help="With what the customers would have written down.")
    parser.add_argument("more", nargs="*", help="More options for `payonce audit`, after --.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as scratch:
        folder = options.dir or Path(scratch)
        broker = EmbeddedBroker(folder / "kafka", profile="quick")
        try:
            broker.start()
            if not (folder / "filled").exists():
                asyncio.run(fill(broker.bootstrap_servers, folder, options))
                (folder / "filled").touch()
            more = options.more
            if options.history:
                history = folder / "history.jsonl"
                if not history.exists():
                    asyncio.run(write_history(broker.bootstrap_servers, history))
                more = ["--history", str(history), *more]
            found = audit(broker.bootstrap_servers, more)
        finally:
            broker.kill()
            broker.close()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
