"""What the pure core costs: decoding, settling and batches of a command, natively and in Python, in one run.

In:      --commands N, --batch RECORDS, --rounds R.
Out:     a line for each round and way: microseconds a command of each step, of the fastest of the rounds in the end.
Units:   microseconds; bytes.

`python -m benchmarks.core` needs no Kafka: the commands of benchmarks.throughput, as aiokafka would hand them over.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from benchmarks.throughput import NAMESPACE, commands
from events.guarantees import Guarantee
from services.kafka.batches import batches
from services.kafka.port import Outgoing, Record
from services.processor.domain import natively
from services.processor.domain.settling import Rules, Settled, Standing, decode, lookups, settle

PARTITIONS = 4
DAY_MS = 86_400_000
STEPS = ("decode", "settle", "batches")

Decode = Callable[[Rules, Sequence[Record]], Any]
Settle = Callable[[Rules, Standing, Any, dict[bytes, bytes | None]], Settled]


def in_python(rules: Rules, records: Sequence[Record]) -> Any:
    incoming = decode(rules, records)
    lookups(rules, incoming)
    return incoming


WAYS: dict[str, tuple[Decode, Settle]] = {
    "native": (natively.read, natively.settle_read),
    "python": (in_python, settle),
}


def as_read(sent: Sequence[Outgoing], at_ms: int) -> list[Any]:
    return [
        SimpleNamespace(offset=at, timestamp=at_ms, key=one.key, value=one.value, headers=())
        for at, one in enumerate(sent)
    ]


def once(way: str, log: dict[int, list[Any]], batch: int) -> dict[str, float]:
    """Microseconds a command of each step."""
    decoding, settling = WAYS[way]
    seconds, count = dict.fromkeys(STEPS, 0.0), 0
    for partition, records in log.items():
        rules = Rules(NAMESPACE, partition, PARTITIONS, DAY_MS, Guarantee.EXACTLY_ONCE)
        standing = Standing(0, 0)
        for at in range(0, len(records), batch):
            part = records[at : at + batch]
            began = time.perf_counter()
            read = decoding(rules, part)
            decoded = time.perf_counter()
            settled = settling(rules, standing, read, {})
            done = time.perf_counter()
            for some in (settled.keys, settled.charges, settled.replies):
                for _ in batches(some, producer_id=1, epoch=0, sequence=0, transactional=True, timestamp_ms=at):
                    pass
            ended = time.perf_counter()
            if settled.executed != len(part):
                raise SystemExit("Not every command was executed.")
            for step, one in zip(STEPS, (decoded - began, done - decoded, ended - done), strict=True):
                seconds[step] += one
            standing, count = settled.standing, count + len(part)
    return {step: one / count * 1e6 for step, one in seconds.items()}


def line(way: str, found: dict[str, float]) -> str:
    return (
        f"{way:8}" + "".join(f"{step} {us:6.2f}   " for step, us in found.items()) + f"all {sum(found.values()):6.2f}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    loads = commands(options.commands, 1_000, PARTITIONS)
    log = {where.partition: as_read(sent, 1_790_000_000_000) for where, sent in loads.items()}
    best: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for way in WAYS:
            found = once(way, log, options.batch)
            sys.stdout.write(line(way, found))
            if way not in best or sum(found.values()) < sum(best[way].values()):
                best[way] = found
    sys.stdout.write("the fastest of each\n" + "".join(line(way, found) for way, found in best.items()))


if __name__ == "__main__":
    main()
