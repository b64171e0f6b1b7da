"""A processor with very many live keys: how long a rebuild and a restart take, memory, throughput, expiry.

In:      --keys N, --sections; a folder with room for about 3 KB a key (--folder), emptied afterwards.
Out:     one JSON line, a member for each section.
Units:   seconds, MiB, milliseconds; a pair is a key record and its charge event.

`python -m benchmarks.large --keys 10000000` fills a log (benchmarks.large_log), then for each section:

rebuild     a processor without a store, from its start to its `ready`; memory at its peak, and 3 s later
restart     the same processor started again, stopped and killed before, the log RESTART_AHEAD pairs ahead
throughput  the same commands handled by it and by one of an empty namespace, in turns: CPU time and clock time
expiry      EXPIRING keys of a namespace of its own, due at once, under PACE commands a second: the longest wait
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.large_expiry import measure_expiry
from benchmarks.large_log import command_loads, portions
from benchmarks.own_kafka import own_kafka
from events.connection import connection
from events.topics import processor_group, topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import TopicPartition
from tests.support.services import ServiceProcess, service

LARGE: Final = "large"  # namespaces
EMPTY: Final = "empty"
PARTITIONS: Final = 4
WINDOW_MS: Final = 86_400_000
RESTART_AHEAD: Final = 2_000
RESTARTS: Final = 3
NEW: Final = 10**9  # numbers from here on are of commands, below are the pairs that stand on the log already
ROUNDS: Final = 3
READY_WITHIN_S: Final = 900.0
MIB: Final = 1024 * 1024
SECTIONS: Final = ("rebuild", "restart", "throughput", "expiry")

Found = dict[str, Any]


class Bench:
    def __init__(self, bootstrap: str, kafka: KafkaLog, folder: Path, keys: int, commands: int) -> None:
        self.bootstrap = bootstrap
        self.kafka = kafka
        self.folder = folder
        self.keys = keys
        self.commands = commands
        self._numbered = NEW

    @contextmanager
    def processor(self, namespace: str) -> Iterator[ServiceProcess]:
        environment = {
            "PAYONCE_KAFKA": self.bootstrap,
            "PAYONCE_NAMESPACE": namespace,
            "PAYONCE_PARTITIONS": str(PARTITIONS),
        }
        with service("processor", self.folder / namespace, environment, ready=False) as process:
            process.wait_ready(READY_WITHIN_S)
            yield process

    async def append(self, namespace: str, keys: int, first: int = 0) -> None:
        """Pairs numbered from `first` on, as if a processor had written them in the last ten minutes."""
        await self.kafka.ensure_topics(namespace, PARTITIONS)
        now_ms = time.time_ns() // 1_000_000
        writer = await self.kafka.plain_writer()
        sending: asyncio.Task[Any] | None = None
        for loads in portions(namespace, PARTITIONS, keys, now_ms - 600_000, now_ms, WINDOW_MS, first):
            if sending is not None:
                await sending
            sending = asyncio.create_task(writer.produce(loads))
            await asyncio.sleep(0)
        if sending is not None:
            await sending
        await writer.close()

    async def rebuild(self) -> Found:
        shutil.rmtree(self.folder / LARGE, ignore_errors=True)
        began = time.time()
        with self.processor(LARGE) as process:
            ready_s = time.time() - began
            restored = process.logged("partitions_restored")[-1]
            peak = memory_peak(process.pid)
            await asyncio.sleep(3)
            found = {
                "ready_s": round(ready_s, 1),
                "pairs_per_second": round(restored["records"] / 2 / restored["duration_ms"] * 1000),
                "cpu_us_per_pair": round(cpu_s(process.pid) / self.keys * 1e6, 1),
                "peak": peak,
                "settled": memory(process.pid),
            }
            process.stop()
        store = [one.stat().st_size for one in (self.folder / LARGE / "keys.rocksdb").iterdir()]
        return found | {"store_mib": sum(store) // MIB, "store_files": len(store)}

    async def restart(self) -> Found:
        """After a clean stop and after a kill; some of the log is new to the store each time."""
        seconds: dict[str, list[float]] = {"stopped": [], "killed": []}
        for one in range(2 * RESTARTS):
            how = "stopped" if one % 2 else "killed"
            with self.processor(LARGE) as process:
                await self.handle(LARGE, process, 2_000)
                process.stop() if how == "stopped" else process.kill()
            await self.append(LARGE, RESTART_AHEAD, self.keys + one * RESTART_AHEAD)
            began = time.time()
            with self.processor(LARGE) as process:
                seconds[how].append(round(time.time() - began, 2))
                process.stop()
        return {f"ready_s_{how}": sorted(some) for how, some in seconds.items()}

    async def throughput(self) -> Found:
        found: dict[str, list[float]] = {LARGE: [], EMPTY: []}
        cpu: dict[str, list[float]] = {LARGE: [], EMPTY: []}
        settled: Found = {}
        for _ in range(ROUNDS):
            for namespace, rates in found.items():
                if namespace == EMPTY:
                    await self.kafka.ensure_topics(namespace, PARTITIONS)
                with self.processor(namespace) as process:
                    before = cpu_s(process.pid)
                    seconds = await self.handle(namespace, process, self.commands)
                    rates.append(round(self.commands / seconds))
                    cpu[namespace].append(round((cpu_s(process.pid) - before) / self.commands * 1e6, 1))
                    if namespace == LARGE:
                        settled = memory(process.pid)
                    process.stop()
        ratio = sorted(found[LARGE])[ROUNDS // 2] / sorted(found[EMPTY])[ROUNDS // 2]
        return {"commands_per_second": found, "cpu_us_per_command": cpu, "ratio": round(ratio, 2), "memory": settled}

    async def handle(self, namespace: str, process: ServiceProcess, count: int) -> float:
        """How long the process takes for so many new commands, appended while it is stopped from reading them."""
        now = time.time_ns()
        loads = command_loads(namespace, PARTITIONS, self._numbered, count, now // 1_000_000)
        self._numbered += count
        where = topic_name(namespace, "commands")
        psutil.Process(process.pid).suspend()
        try:
            writer = await self.kafka.plain_writer()
            await writer.produce(loads)
            await writer.close()
            ends = await self.kafka.high_watermarks([TopicPartition(where, one) for one in range(PARTITIONS)])
        finally:
            psutil.Process(process.pid).resume()
        assert time.time_ns() - now < 3_000_000_000, "so long a stop ends the membership: take fewer commands"
        began = time.time()
        group = processor_group(namespace)
        while True:
            at = await self.kafka.stable_offsets(group, where, range(PARTITIONS))
            if all((at[one.partition] or 0) >= end for one, end in ends.items()):
                return time.time() - began
            await asyncio.sleep(0.05)


def memory(pid: int) -> Found:
    """Resident; of that ours alone, and what is not of a file."""
    full = psutil.Process(pid).memory_full_info()
    return {"rss_mib": full.rss // MIB, "uss_mib": full.uss // MIB}


def memory_peak(pid: int) -> Found:
    (line,) = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM")]
    return {"rss_mib": int(line.split()[1]) // 1024}


def cpu_s(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


async def measure(bootstrap: str, folder: Path, options: argparse.Namespace) -> Found:
    kafka = await KafkaLog.connect(connection(bootstrap), client_id="payonce-benchmark")
    bench = Bench(bootstrap, kafka, folder, options.keys, options.commands)
    found: Found = {"keys": options.keys}
    if set(options.sections) - {"expiry"}:
        began = time.time()
        await bench.append(LARGE, options.keys)
        found["fill_s"] = round(time.time() - began)
        say(found)
    for section in options.sections:
        if section == "expiry":
            found[section] = await measure_expiry(bootstrap, kafka, folder, options.expiring, options.pace)
        else:
            found[section] = await getattr(bench, section)()
        say({section: found[section]})
    await kafka.close()
    return found


def say(found: Found) -> None:
    sys.stderr.write(json.dumps(found) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--commands", type=int, default=60_000, help="Of one round of throughput.")
    parser.add_argument("--expiring", type=int, default=1_000_000)
    parser.add_argument("--pace", type=int, default=500)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--folder", type=Path, help="Where there is room; the system's folder for such things.")
    options = parser.parse_args(arguments)
    with own_kafka(inside=options.folder) as (bootstrap, folder):
        found = asyncio.run(measure(bootstrap, folder, options))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
