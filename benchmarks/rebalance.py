"""How long partitions stand still when processors come and go.

In:      --partitions P, --rate COMMANDS a second over all of them, --seconds between two events.
Out:     one JSON line for each event (a processor comes, one leaves, one is killed): seconds from it until every
         partition is taken over, and the longest time without a charge event on a partition that moved, and on one
         that did not.
Units:   seconds; milliseconds in gaps.

`python -m benchmarks.rebalance` starts an embedded Kafka and two processors under a paced load; then a third comes, it
leaves, and one is killed. Gaps are read off the timestamps that the broker gave the charge events.
"""

import argparse
import asyncio
import itertools
import json
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import orjson

from benchmarks.own_kafka import own_kafka
from events.connection import connection
from events.partitioner import partition_of
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, TopicPartition
from tests.support.services import ServiceProcess, service
from tests.support.wait import wait_until

NAMESPACE = "bench"
WITHIN_S = 30.0
TICK_S = 0.01


class Event(NamedTuple):
    name: str
    at_ms: int
    settled_s: float
    before: Mapping[int, str]  # who had each partition
    after: Mapping[int, str]


def merchants(partitions: int) -> list[str]:
    """One merchant for each partition."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        name = f"merchant{number}"
        found.setdefault(partition_of(name.encode(), partitions), name)
        number += 1
    return [found[one] for one in range(partitions)]


def command(merchant: str, number: int) -> Outgoing:
    now_ms = time.time_ns() // 1_000_000
    value = {
        "command_id": str(uuid.UUID(int=(now_ms << 80) | (7 << 76) | (2 << 62) | number)),
        "type": "charge.create",
        "merchant_id": merchant,
        "idempotency_key": f"order-{number}",
        "issued_at": now_ms,
        "deadline_at": now_ms + 3_600_000,
        "payload": {"amount": 100, "currency": "eur", "payment_method": "pm_card_visa"},
    }
    return Outgoing(merchant.encode(), orjson.dumps(value))


async def feed(kafka: KafkaLog, partitions: int, rate: int, stopped: asyncio.Event) -> None:
    """Every partition in turn, `rate` commands a second over all."""
    writer = await kafka.plain_writer()
    names, topic = merchants(partitions), topic_name(NAMESPACE, "commands")
    began, sent = time.monotonic(), 0
    while not stopped.is_set():
        loads: dict[TopicPartition, list[Outgoing]] = {}
        for number in range(sent, int((time.monotonic() - began) * rate)):
            loads.setdefault(TopicPartition(topic, number % partitions), []).append(
                command(names[number % partitions], number)
            )
        sent += sum(map(len, loads.values()))
        if loads:
            await writer.produce(loads)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), TICK_S)
    await writer.close()


async def owners(running: Mapping[str, ServiceProcess], partitions: int) -> dict[int, str] | None:
    """Who has each partition; None as long as one is nobody's or still taken over."""
    found: dict[int, str] = {}
    async with httpx.AsyncClient(timeout=2) as client:
        for name, process in running.items():
            with suppress(httpx.HTTPError):
                states = (await client.get(f"{process.url}/healthz")).json()["partitions"]
                for partition, state in states.items():
                    if state == "running" and int(partition) not in found:
                        found[int(partition)] = name
                    else:
                        return None
    return found if len(found) == partitions else None


async def settled(running: Mapping[str, ServiceProcess], partitions: int, differs: Mapping[int, str]) -> dict[int, str]:
    found: dict[int, str] | None = None

    async def done() -> bool:
        nonlocal found
        found = await owners(running, partitions)
        return found is not None and found != differs and set(found.values()) == set(running)

    await wait_until(done, timeout_s=WITHIN_S, message=lambda: "the partitions are not shared out")
    assert found is not None
    return found


async def charged_at(kafka: KafkaLog, partitions: int) -> dict[int, list[int]]:
    """The instants of all charge events, by partition."""
    parts = [TopicPartition(topic_name(NAMESPACE, "charges"), one) for one in range(partitions)]
    reader = await kafka.reader()
    ends = await kafka.high_watermarks(parts)
    reader.assign(dict.fromkeys(parts, 0))
    found: dict[int, list[int]] = {one: [] for one in range(partitions)}
    while any(reader.position(where) < ends[where] for where in parts):
        for where, records in (await reader.fetch(50)).items():
            found[where.partition] += [record.timestamp for record in records]
    await reader.close()
    return found


def gaps(event: Event, until_ms: int, instants: Mapping[int, list[int]]) -> Iterator[tuple[bool, int]]:
    """For each partition whether it moved, and its longest time without a charge event."""
    for partition, found in instants.items():
        inside = [one for one in found if event.at_ms - 500 <= one < until_ms]
        longest = max((after - before for before, after in itertools.pairwise(inside)), default=0)
        yield event.before[partition] != event.after[partition], longest


def told(event: Event, until_ms: int, instants: Mapping[int, list[int]]) -> dict[str, object]:
    found = list(gaps(event, until_ms, instants))
    moved, stayed = ([gap for went, gap in found if went is wanted] for wanted in (True, False))
    return {
        "event": event.name,
        "settled_s": round(event.settled_s, 2),
        "moved": len(moved),
        "longest_gap_of_moved_ms": max(moved, default=0),
        "stayed": len(stayed),
        "longest_gap_of_stayed_ms": max(stayed, default=0),
    }


async def measure(bootstrap: str, folder: Path, options: argparse.Namespace) -> list[dict[str, object]]:
    kafka = await KafkaLog.connect(connection(bootstrap), client_id="payonce-benchmark")
    await kafka.ensure_topics(NAMESPACE, options.partitions)
    environment = {
        "PAYONCE_KAFKA": bootstrap,
        "PAYONCE_NAMESPACE": NAMESPACE,
        "PAYONCE_PARTITIONS": str(options.partitions),
        "PAYONCE_LISTEN": "127.0.0.1:0",
    }
    with ExitStack() as stack:
        running: dict[str, ServiceProcess] = {}

        async def start(name: str) -> None:
            entered = service("processor", folder / name, environment)
            running[name] = await asyncio.to_thread(stack.enter_context, entered)

        def end(name: str, number: signal.Signals) -> None:
            running.pop(name).process.send_signal(number)

        await start("first")
        await start("second")
        have = await settled(running, options.partitions, {})
        stopped = asyncio.Event()
        feeding = asyncio.create_task(feed(kafka, options.partitions, options.rate, stopped))
        await asyncio.sleep(options.seconds)
        events = []
        for name in ("a third comes", "the third leaves", "the second is killed"):
            at_ms, began = time.time_ns() // 1_000_000, time.monotonic()
            if name == "a third comes":
                await start("third")
            elif name == "the third leaves":
                end("third", signal.SIGTERM)
            else:
                end("second", signal.SIGKILL)
            now_have = await settled(running, options.partitions, have)
            events.append(Event(name, at_ms, time.monotonic() - began, have, now_have))
            have = now_have
            await asyncio.sleep(options.seconds)
        stopped.set()
        await feeding
        instants = await charged_at(kafka, options.partitions)
    await kafka.close()
    ends = [*(event.at_ms for event in events[1:]), time.time_ns() // 1_000_000]
    return [told(event, until_ms, instants) for event, until_ms in zip(events, ends, strict=True)]


def logged(folder: Path) -> Iterator[str]:
    for log in sorted(folder.glob("*/processor.log")):
        for line in log.read_text().splitlines():
            if "kafka_transaction_committed" not in line:
                yield f"{log.parent.name} {line}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--rate", type=int, default=1_280)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--verbose", action="store_true", help="What the processors log of it, too.")
    options = parser.parse_args()
    with own_kafka() as (bootstrap, folder):
        for one in asyncio.run(measure(bootstrap, folder, options)):
            sys.stdout.write(json.dumps(one) + "\n")
        if options.verbose:
            sys.stderr.writelines(logged(folder))


if __name__ == "__main__":
    main()
