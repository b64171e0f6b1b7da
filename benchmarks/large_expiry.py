"""Very many keys due at once: how long a command waits meanwhile, and how long a partition commits nothing.

In:      how many keys, how many commands a second.
Out:     waits of commands from their append to their reply, before any key is due and while keys expire.
Units:   milliseconds; a stall is the longest time between two commits of one partition with replies in them.
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
_EXPIRED: Final = re.compile(rb"payonce_processor_keys_expired_total ([0-9.e+]+)")


class Waits:
    """Replies as they can be read by everybody."""

    def __init__(self) -> None:
        self.sent: dict[bytes, float] = {}
        self.waited: list[float] = []
        self.longest_stall = 0.0
        self._last: dict[int, float] = {}

    def clear(self) -> None:
        self.waited, self.longest_stall = [], 0.0

    async def read(self, reader: Reader) -> None:
        while True:
            for where, records in (await reader.fetch(50)).items():
                now = time.perf_counter()
                before, self._last[where.partition] = self._last.get(where.partition, now), now
                self.longest_stall = max(self.longest_stall, now - before)
                for record in records:
                    self.waited.append(now - self.sent.pop(record.key or b""))

    def found(self) -> dict[str, float]:
        waited = sorted(self.waited)
        at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        found = {f"wait_{name}_ms": waited[min(len(waited) - 1, int(len(waited) * part))] for name, part in at.items()}
        found["longest_stall_ms"] = self.longest_stall
        return {name: round(1000 * value, 1) for name, value in found.items()}


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
    await asyncio.sleep(due_s - 0.5 - time.time())
    before = waits.found()
    await asyncio.sleep(due_s - time.time())
    waits.clear()
    began = time.perf_counter()
    while await asyncio.to_thread(_expired, process.url) < keys:
        assert not sending.done(), "the load ended"
        assert not reading.done(), "the replies ended"
        assert time.perf_counter() - began < LONGEST_S, "the keys do not expire"
        await asyncio.sleep(0.25)
    found = {"keys": keys, "pace": pace, "seconds": round(time.perf_counter() - began, 1)}
    found |= {"before": before, "while": waits.found()}
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


def _expired(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310  (our own)
        found = _EXPIRED.search(answer.read())
    return float(found[1]) if found else 0.0
