"""The same commands given to our processor or to a peer, and all that it made of them.

In:      a namespace whose `commands` are filled, the command line of a process.
Out:     Made: replies, charge events, key records, dead letters, without what only the instant decides.
Errors:  AssertionError with the end of the process's output.
"""

import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from events.connection import connection
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import TopicPartition
from tests.support.wait import wait_until, wait_until_sync

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0
# The clocks of two logs differ, and so do the names of two namespaces.
_INSTANTS = re.compile(rb'(\\?"(?:created|completed|occurred|expires)_at\\?":)\d+')
_WINDOW = re.compile(rb'"completed_at":(\d+),"expires_at":(\d+)')


@dataclass
class Made:
    """Values are bytes as on the log, their instants cut out; by an id, since partitions have no common order."""

    replies: dict[bytes, bytes]
    charges: dict[bytes, tuple[bytes, bytes, list[tuple[str, bytes]]]]  # by event id: key, value, headers
    keys: dict[bytes, bytes]  # by `merchant/key`
    windows_ms: set[int]  # between a key record's completed_at and its expires_at
    dead: list[tuple[bytes, bytes, dict[str, bytes]]]


@contextmanager
def running(argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said `ready`; it is killed at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:

        def is_ready() -> bool:
            assert process.poll() is None, f"it exited {process.returncode}:\n{_end(log)}"
            return b"ready" in log.read_bytes().splitlines() or b'"event":"ready"' in log.read_bytes()

        wait_until_sync(is_ready, timeout_s=READY_WITHIN_S, message=lambda: f"it is not ready:\n{_end(log)}")
        yield process
    finally:
        process.kill()
        process.wait()


def stops_cleanly(process: subprocess.Popen[bytes]) -> int:
    """SIGTERM, and the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(STOP_WITHIN_S)


async def made(bootstrap: str, namespace: str, partitions: int, keys_topic: str) -> Made:
    """What stands committed on the topics now."""

    async def all_of(topic: str) -> list[Any]:
        return await committed(bootstrap, topic, partitions)

    replies = {record.key: _timeless(record.value) for record in await all_of(topic_name(namespace, "replies"))}
    charges = {
        orjson.loads(record.value)["event_id"].encode(): (
            record.key,
            _timeless(record.value),
            [header for header in record.headers if header[0] != "ce_time"],
        )
        for record in await all_of(topic_name(namespace, "charges"))
    }
    kept = [record for record in await all_of(keys_topic) if b'"fingerprint"' in record.value]
    spans = {_WINDOW.search(record.value) for record in kept}
    dead = [
        (record.key, record.value, {name: value for name, value in record.headers if name != "topic"})
        for record in await all_of(topic_name(namespace, "dead-letters"))
    ]
    return Made(
        replies,
        charges,
        {_name(orjson.loads(record.value)): _timeless(record.value) for record in kept},
        {int(span[2]) - int(span[1]) for span in spans if span},
        sorted(dead, key=lambda letter: (letter[2]["partition"], int(letter[2]["offset"]))),
    )


def _name(record: dict[str, Any]) -> bytes:
    return f"{record['merchant_id']}/{record['idempotency_key'] or record['command_id']}".encode()


def _timeless(value: bytes) -> bytes:
    return _INSTANTS.sub(rb"\1?", value)


async def committed(bootstrap: str, topic: str, partitions: int) -> list[Any]:
    """All that is or will be committed of what stands on the topic: the last markers may still be on their way."""
    log = await KafkaLog.connect(connection(bootstrap), client_id="payonce-test")
    reader = await log.reader()
    places = [TopicPartition(topic, number) for number in range(partitions)]
    found: list[Any] = []
    try:
        ends = await log.high_watermarks(places)
        reader.assign(dict.fromkeys(places, 0))

        async def at_end() -> bool:
            for records in (await reader.fetch(20)).values():
                found.extend(records)
            return all(reader.position(place) >= ends[place] for place in places)

        await wait_until(at_end, timeout_s=20, message=f"{topic} has an open transaction")
    finally:
        await reader.close()
        await log.close()
    return found


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-4_000:]
