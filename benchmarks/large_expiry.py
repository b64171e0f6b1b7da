"""Very many keys due at once: how long a command waits meanwhile, and how long a partition commits nothing.

In:      how many keys, how many commands a second.
Out:     waits of commands from their append to their reply, before any key is due, while keys expire and, for as long,
         afterwards; the time between two commits of one partition with replies in them; how long transactions took.
Units:   milliseconds. A stall is the longest time between two such commits. The longest of a minute is longer than that
         of eight seconds, whatever is done meanwhile: what expiry adds is told against the time afterwards, too.
"""

import asyncio
import re
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from benchmarks.large_log import PORTION, command_loads, portions
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Reader, TopicPartition
from tests.support.services import ServiceProcess, service

NAMESPACE: Final = "expiring"
PARTITIONS: Final = 4
EVERY_S: Final = 0.02
BEFORE_S: Final = 8.0  # under the same load, before the first key is due
LONGEST_S: Final = 600.0
AFTER_S_MOST: Final = 60.0
_BUCKET: Final = re.compile(rb'payonce_processor_transaction_seconds_bucket\{le="([^"]+)"\} ([0-9.e+]+)')
_EXPIRED: Final = re.compile(rb"payonce_processor_keys_expired_total ([0-9.e+]+)")


class Waits:
    """Replies as they can be read by everybody."""

    def __init__(self) -> None:
        self.sent: dict[bytes, float] = {}
        self.waited: list[float] = []
        self.gaps: list[float] = []
        self._last: dict[int, float] = {}

    def clear(self) -> None:
        self.waited, self.gaps = [], []

    async def read(self, reader: Reader) -> None:
        while True:
            for where, records in (await reader.fetch(50)).items():
                now = time.perf_counter()
                before, self._last[where.partition] = self._last.get(where.partition, now), now
                self.gaps.append(now - before)
                for record in records:
                    self.waited.append(now - self.sent.pop(record.key or b""))

    def found(self) -> dict[str, float]:
        at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        found = {f"wait_{name}_ms": _at(self.waited, part) for name, part in at.items()}
        found |= {"gap_p99_ms": _at(self.gaps, 0.99), "longest_stall_ms": _at(self.gaps, 1.0)}
        return {name: round(1000 * value, 1) for name, value in found.items()}


def _at(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


async def measure_expiry(bootstrap: str, kafka: KafkaLog, folder: Path, keys: int, pace: int) -> dict[str, Any]:
    await kafka.ensure_topics(NAMESPACE, PARTITIONS)
    # All of them were answered within a second, so long ago that filling and rebuilding end before they are due.
    window_ms = 60_000 + keys // 10
    born_ms = time.time_ns() // 1_000_000
    writer = await kafka.plain_writer()
    for loads in portions(NAMESPACE, PARTITIONS, keys, born_ms, born_ms + 1_000, window_ms):
        await writer.produce(loads)
    await writer.close()
    environment = {
        "PAYONCE_KAFKA": bootstrap,
        "PAYONCE_NAMESPACE": NAMESPACE,
        "PAYONCE_PARTITIONS": str(PARTITIONS),
        "PAYONCE_KEY_TTL": f"{window_ms}ms",
        "PAYONCE_LISTEN": "127.0.0.1:0",
    }
    with service("processor", folder / NAMESPACE, environment, ready=False) as process:
        process.wait_ready(LONGEST_S)
        due_s = (born_ms + window_ms) / 1000
        assert time.time() + BEFORE_S < due_s, "filling took longer than the keys live"
        await asyncio.sleep(due_s - BEFORE_S - time.time())
        return await _under_load(kafka, process, keys, pace, due_s)


async def _under_load(kafka: KafkaLog, process: ServiceProcess, keys: int, pace: int, due_s: float) -> dict[str, Any]:
    waits = Waits()
    reader = await kafka.reader()
    replies = [TopicPartition(topic_name(NAMESPACE, "replies"), one) for one in range(PARTITIONS)]
    reader.assign(await kafka.high_watermarks(replies))
    reading = asyncio.create_task(waits.read(reader))
    sending = asyncio.create_task(_send(kafka, waits, keys + PORTION, pace))
    began_with = await asyncio.to_thread(_metrics, process.url)
    await asyncio.sleep(due_s - 0.5 - time.time())
    before = waits.found() | _transactions(began_with, await asyncio.to_thread(_metrics, process.url))
    await asyncio.sleep(due_s - time.time())
    waits.clear()
    began = time.perf_counter()
    began_with = metrics = await asyncio.to_thread(_metrics, process.url)
    while _expired(metrics) < keys:
        assert not sending.done(), "the load ended"
        assert not reading.done(), "the replies ended"
        assert time.perf_counter() - began < LONGEST_S, "the keys do not expire"
        await asyncio.sleep(0.25)
        metrics = await asyncio.to_thread(_metrics, process.url)
    seconds = time.perf_counter() - began
    during = waits.found() | _transactions(began_with, metrics)
    waits.clear()
    await asyncio.sleep(min(seconds, AFTER_S_MOST))
    after = waits.found() | _transactions(metrics, await asyncio.to_thread(_metrics, process.url))
    more = {f"than_{name}_ms": _more(during, other) for name, other in (("before", before), ("after", after))}
    found = {"keys": keys, "pace": pace, "seconds": round(seconds, 1), "stalls_more": more}
    found |= {"before": before, "while": during, "after": after}
    for task in (sending, reading):
        task.cancel()
    await asyncio.gather(sending, reading, return_exceptions=True)
    await reader.close()
    return found


async def _send(kafka: KafkaLog, waits: Waits, first: int, pace: int) -> None:
    """So many a second, each moment's share together; the next leaves when it is due, not when the last is answered."""
    writer = await kafka.plain_writer()
    began, number = time.perf_counter(), first
    while True:
        due = first + int((time.perf_counter() - began) * pace)
        if due > number:
            loads = command_loads(NAMESPACE, PARTITIONS, number, due - number, time.time_ns() // 1_000_000)
            number = due
            now = time.perf_counter()
            for records in loads.values():
                for record in records:
                    waits.sent[_command_id(record.value or b"")] = now
            await writer.produce(loads)
        await asyncio.sleep(EVERY_S)


def _command_id(value: bytes) -> bytes:
    return value[len(b'{"command_id":"') :][:36]


def _metrics(url: str) -> bytes:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310  (our own)
        text: bytes = answer.read()
        return text


def _expired(metrics: bytes) -> float:
    found = _EXPIRED.search(metrics)
    return float(found[1]) if found else 0.0


def _transactions(before: bytes, after: bytes) -> dict[str, float]:
    """The processor's own word: how many there were, and the bound in its histogram that 99 of 100 kept."""
    counted = dict(_BUCKET.findall(before))
    ended = [(float(bound), float(count) - float(counted.get(bound, 0))) for bound, count in _BUCKET.findall(after)]
    within = next((bound for bound, count in ended if count >= 0.99 * ended[-1][1]), ended[-1][0])
    return {"transactions": ended[-1][1], "transaction_p99_within_ms": round(1000 * within, 1)}


def _more(during: dict[str, float], otherwise: dict[str, float]) -> float:
    return round(during["longest_stall_ms"] - otherwise["longest_stall_ms"], 1)
