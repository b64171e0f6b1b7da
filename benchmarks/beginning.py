"""What the first commands of a fresh namespace cost its broker, by the size of the log's index files.

In:      --sizes BYTES..., --partitions P, --commands N of a run, --runs R on each broker, --rounds T.
Out:     one line for each run: commands a second, CPU of the broker, what the page cache grew by.
Units:   commands a second; microseconds a command; MiB.

`python -m benchmarks.beginning` takes Kafka's own 10 MiB and what the embedded broker has now in turns, each time with
a new broker. A log's first records make the kernel read around its index files' first entries
(simulator/broker/settings.py); /sys/block/*/queue/read_ahead_kb says how far.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

import psutil

from events.connection import connection
from events.guarantees import Guarantee
from simulator.bench.plans import Feeds
from simulator.bench.subjects import Ours, Place
from simulator.bench.throughput import Kafka, run_preloaded
from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.settings import SMALL_AND_QUICK

SIZE: Final = "log.index.size.max.bytes"
KAFKAS_OWN: Final = 10 * 1024 * 1024
WARM_UP: Final = 4  # partitions of a first run that is not told: the virtual machine compiles


async def measure(kafka: Kafka, folder: Path, options: argparse.Namespace, size: int) -> None:
    subject, feeds = Ours(Guarantee.EXACTLY_ONCE), Feeds(seed=13)
    for number in range(options.runs + 1):
        partitions = options.partitions if number else WARM_UP
        place = Place(kafka.connection.bootstrap, f"beginning{number}", partitions, folder / str(number))
        cached = psutil.virtual_memory().cached
        run = await run_preloaded(subject, number, feeds.of(options.commands, partitions, 1_000), kafka, place)
        grown = (psutil.virtual_memory().cached - cached) / 2**20
        if number:
            sys.stdout.write(
                f"index files of {size:>10,} B, run {number}: {run.steady_per_s:8,.0f} commands/s,"
                f" {run.whole_per_s:8,.0f} from ready, broker {run.broker_cpu_us or 0:6.1f} us a command,"
                f" page cache {grown:+7,.0f} MiB\n"
            )
            sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[KAFKAS_OWN, int(SMALL_AND_QUICK[SIZE])])
    parser.add_argument("--partitions", type=int, default=64)
    parser.add_argument("--commands", type=int, default=8_000)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    for size in options.sizes * options.rounds:
        with tempfile.TemporaryDirectory(prefix="payonce-beginning-", ignore_cleanup_errors=True) as name:
            broker = EmbeddedBroker(Path(name) / "kafka", profile="throughput", extra_settings={SIZE: str(size)})
            try:
                broker.start()
                kafka = Kafka(connection(broker.bootstrap_servers), broker.pid)
                asyncio.run(measure(kafka, Path(name), options, size))
            finally:
                broker.kill()
                broker.close()


if __name__ == "__main__":
    main()
