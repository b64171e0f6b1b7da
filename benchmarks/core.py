"""What the pure core costs: fetched batches, decoding, settling and batches of a command; and a restored record.

In:      --commands N, --batch RECORDS, --rounds R.
Out:     a line for each round and way, natively and in Python: microseconds a command of each step, or a record of
         `keys` or `charges` that is restored from the log; in the end the fastest of each step.
Units:   microseconds; bytes.

`python -m benchmarks.core` needs no Kafka: the commands of benchmarks.throughput, and what comes of them, in batches as
a Fetch has them.
"""

import argparse
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from benchmarks.throughput import NAMESPACE, commands
from events.guarantees import Guarantee
from services.kafka import fetched
from services.kafka.batches import batches
from services.kafka.fetched import Aborted, Fetched
from services.kafka.packed import Appending
from services.kafka.port import Outgoing, Record, TopicPartition
from services.processor.domain import natively, stored
from services.processor.domain.settling import Rules, Settled, Standing, decode, lookups, settle

PARTITIONS: Final = 4
DAY_MS: Final = 86_400_000
AT_MS: Final = 1_790_000_000_000
WHERE: Final = TopicPartition("benchmark", 0)  # only errors say it

Writes = Mapping[bytes, bytes | None]


class Way(NamedTuple):
    fetch: Callable[[TopicPartition, bytes, int, Sequence[Aborted]], Fetched]
    decode: Callable[[Rules, Sequence[Record]], Any]
    settle: Callable[[Rules, Standing, Any, dict[bytes, bytes | None]], Settled]
    keys: Callable[[Sequence[Record]], Writes]
    charges: Callable[[Sequence[Record]], Writes]


def in_python(rules: Rules, records: Sequence[Record]) -> Any:
    incoming = decode(rules, records)
    lookups(rules, incoming)
    return incoming


WAYS: Final = {
    "native": Way(
        fetched.fetched,
        natively.read,
        natively.settle_read,
        stored.of_records,
        lambda records: stored.of_events(records, once=True),
    ),
    "python": Way(
        fetched.in_python,
        in_python,
        settle,
        stored.of_records,
        lambda records: stored.of_events_in_python(records, once=True),
    ),
}


class Watch:
    """Where the time goes: each step's, for one of as many as it was told."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.perf_counter()

    def ends(self, step: str, count: int) -> None:
        """What began when the step before ended."""
        now = time.perf_counter()
        self._seconds[step] = self._seconds.get(step, 0.0) + now - self._began
        self._counts[step] = self._counts.get(step, 0) + count
        self._began = time.perf_counter()

    def microseconds(self) -> dict[str, float]:
        return {step: seconds / self._counts[step] * 1e6 for step, seconds in self._seconds.items()}


def as_answered(sent: Appending, first: int) -> list[bytes]:
    """Record batches of these records, whose offsets begin at `first`, as a broker has them."""
    answered = []
    for made in batches(sent, producer_id=1, epoch=0, sequence=0, transactional=True, timestamp_ms=AT_MS):
        struct.pack_into(">q", made.data, 0, first + made.first)
        answered.append(bytes(made.data))
    return answered


def once(way: Way, log: Mapping[int, Sequence[bytes]]) -> dict[str, float]:
    watch = Watch()
    for partition, answers in log.items():
        rules = Rules(NAMESPACE, partition, PARTITIONS, DAY_MS, Guarantee.EXACTLY_ONCE)
        standing = Standing(0, 0)
        for data in answers:
            watch.begin()
            records, _ = way.fetch(WHERE, data, standing.position, ())
            count = len(records)
            watch.ends("fetch", count)
            read = way.decode(rules, records)
            watch.ends("decode", count)
            settled = way.settle(rules, standing, read, {})
            watch.ends("settle", count)
            made = [as_answered(some, 0) for some in (settled.keys, settled.charges, settled.replies)]
            watch.ends("batches", count)
            if settled.executed != count:
                raise SystemExit("Not every command was executed.")
            standing = settled.standing
            for step, some, writes in (("keys", made[0], way.keys), ("charges", made[1], way.charges)):
                watch.begin()
                restored = sum(len(writes(way.fetch(WHERE, one, 0, ()).records)) for one in some)
                watch.ends(step, restored)
    return watch.microseconds()


def line(way: str, found: Mapping[str, float]) -> str:
    return f"{way:8}" + "".join(f"{step} {us:6.2f}   " for step, us in found.items()).rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    loads = commands(options.commands, 1_000, PARTITIONS)
    log = {where.partition: in_batches(sent, options.batch) for where, sent in loads.items()}
    best: dict[str, dict[str, float]] = {}
    for _ in range(options.rounds):
        for name, way in WAYS.items():
            found = once(way, log)
            sys.stdout.write(line(name, found))
            before = best.get(name, found)
            best[name] = {step: min(us, before[step]) for step, us in found.items()}
    sys.stdout.write("the fastest of each\n" + "".join(line(name, found) for name, found in best.items()))


def in_batches(sent: Sequence[Outgoing], batch: int) -> list[bytes]:
    parts = [sent[at : at + batch] for at in range(0, len(sent), batch)]
    return [data for at, part in enumerate(parts) for data in as_answered(list(part), at * batch)]


if __name__ == "__main__":
    main()
