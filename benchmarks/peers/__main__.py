"""How many commands a second one peer handles from a preloaded topic, beside its broker.

In:      names of peers (globs); --commands N, --partitions P, --merchants M, --replays SHARE.
Out:     one JSON line for each: commands per second from `ready` and over the second half, CPU per command.
Units:   seconds; microseconds of CPU.

`python -m benchmarks.peers 'streams-*' copier` runs one after the other, each on a fresh namespace of one broker; a
name may be followed by settings of its own, `copier:per-transaction=4`. `payonce bench` measures for the record.
"""

import argparse
import asyncio
import fnmatch
import json
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.own_kafka import own_kafka
from benchmarks.peers import PEERS, Peer, command, prepare
from benchmarks.throughput import preload
from events.connection import connection
from events.partitioner import partition_of
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, TopicPartition
from simulator.log_watch import LogWatch

_STOP_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.1


def commands(
    namespace: str, count: int, merchants: int, partitions: int, replays: float
) -> dict[TopicPartition, list[Outgoing]]:
    """Charge creations; a share of them asks for what a merchant's earlier one did, under its key."""
    now_ms = time.time_ns() // 1_000_000
    loads: dict[TopicPartition, list[Outgoing]] = {}
    for number in range(count):
        is_replay = number >= merchants and int((number + 1) * replays) > int(number * replays)
        asked = number - merchants if is_replay else number
        merchant = f"merchant{asked % merchants}"
        value = {
            "command_id": str(uuid.UUID(int=(now_ms << 80) | (7 << 76) | (2 << 62) | number)),
            "type": "charge.create",
            "merchant_id": merchant,
            "idempotency_key": f"order-{asked:010d}",
            "issued_at": now_ms,
            "deadline_at": now_ms + 3_600_000,
            "payload": {
                "amount": 100 + asked % 100_000,
                "currency": "eur",
                "payment_method": "pm_card_visa",
                "description": f"order {asked}",
                "metadata": {"order": str(asked), "shop": merchant},
            },
        }
        where = TopicPartition(topic_name(namespace, "commands"), partition_of(merchant.encode(), partitions))
        loads.setdefault(where, []).append(Outgoing(merchant.encode(), orjson.dumps(value)))
    return loads


async def measure(peer: Peer, bootstrap: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    namespace = f"peers-{time.time_ns() // 1_000_000}"
    kafka = await KafkaLog.connect(connection(bootstrap), client_id="payonce-benchmark")
    await kafka.ensure_topics(namespace, options.partitions)
    loads = commands(namespace, options.commands, options.merchants, options.partitions, options.replays)
    await preload(kafka, loads)
    await kafka.close()
    argv = command(
        peer, bootstrap=bootstrap, namespace=namespace, partitions=options.partitions, state_dir=folder / namespace
    )
    async with LogWatch(connection(bootstrap), namespace) as log:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)  # noqa: ASYNC220  a fork, and its line read elsewhere
        try:
            assert process.stdout is not None
            started = time.monotonic()
            line = await asyncio.to_thread(process.stdout.readline)
            ready = time.monotonic()
            assert line.strip() == b"ready", f"{peer.name} said {line!r} and exited {process.poll()}"
            watched = psutil.Process(process.pid)
            points: list[tuple[float, int, float]] = []
            while not points or points[-1][1] < options.commands:
                assert process.poll() is None, f"{peer.name} exited {process.returncode}"
                # With several threads some offset is always pending: only those of ended transactions are asked for.
                done, used = sum((await log.group_offsets()).values()), watched.cpu_times()
                points.append((time.monotonic(), done, used.user + used.system))
                await asyncio.sleep(_LOOK_EVERY_S)
            process.terminate()
            code = await asyncio.to_thread(process.wait, _STOP_WITHIN_S)
        finally:
            process.kill()
            process.wait()
    return {"peer": peer.name, "exit_code": code, "start_s": round(ready - started, 2)} | _figures(ready, points)


def _figures(ready: float, points: list[tuple[float, int, float]]) -> dict[str, Any]:
    end, count, cpu_s = points[-1]
    half, done, half_cpu_s = next(point for point in points if point[1] >= count / 2)
    return {
        "commands": count,
        "per_s": round(count / (end - ready)),
        "second_half_per_s": round((count - done) / (end - half)) if count > done else None,
        "cpu_us": round(cpu_s / count * 1e6, 1),
        "second_half_cpu_us": round((cpu_s - half_cpu_s) / (count - done) * 1e6, 1) if count > done else None,
    }


def tell(line: str) -> None:
    sys.stderr.write(line + "\n")


def picked(names: list[str]) -> list[Peer]:
    """Peers by glob, each with settings of its own after a colon."""
    chosen = []
    for name in names:
        pattern, _, settings = name.partition(":")
        own = dict(pair.split("=", 1) for pair in settings.split(";") if pair)
        matching = [peer for peer in PEERS if fnmatch.fnmatchcase(peer.name, pattern)]
        if not matching:
            raise SystemExit(f"Nobody is called {pattern!r}; there are {', '.join(peer.name for peer in PEERS)}.")
        chosen += [replace(peer, name=name if own else peer.name, options={**peer.options, **own}) for peer in matching]
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", nargs="+")
    parser.add_argument("--commands", type=int, default=150_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--merchants", type=int, default=1_000)
    parser.add_argument("--replays", type=float, default=0.2)
    options = parser.parse_args()
    chosen = picked(options.peers)
    prepare(tell)
    with own_kafka() as (bootstrap, folder):
        for peer in chosen:
            found = asyncio.run(measure(peer, bootstrap, folder, options))
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
