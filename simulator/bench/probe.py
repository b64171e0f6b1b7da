"""One process that sends commands at planned instants and hears their replies, read committed.

In:      one line of JSON on stdin: where Kafka is, the namespace, the stretches (a rate, how long, warm-up before).
Out:     lines of JSON on stdout: `{"counting": n}` when stretch n begins to count, then its figures when it is over.
Units:   commands a second; seconds; latencies in milliseconds.
Errors:  a stretch tells how many commands were never answered or never sent; whoever started it judges that.
Source:  an open loop: a command's instant is planned before, however late the ones before it were answered, and
         latency is from that instant to when its reply was in this process's hands. acks=all, nothing lingers: what
         comes while a partition's append is under way is its next batch (workload.kafka_door).
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import uvloop
from aiokafka import ConsumerRecord

from events.connection import connection
from events.partitioner import partition_of
from simulator.workload.kafka_door import KafkaDoor, Letter
from simulator.workload.latencies import Latencies, figures_ms
from simulator.workload.prepared import Prepared, prepared_commands
from simulator.workload.rare_gc import rare_collection

DRAIN_S: Final = 20.0
BEGIN_IN_S: Final = 0.05
LOOK_S: Final = 0.01
YIELD_EVERY: Final = 20
ANSWER, LATE = "answer", "late"


@dataclass(frozen=True)
class Stretch:
    """So many commands a second, evenly; those of the first `warm_s` are not counted."""

    rate: float
    warm_s: float
    counted_s: float

    @property
    def commands(self) -> int:
        return int(self.rate * (self.warm_s + self.counted_s))


@dataclass(frozen=True)
class Order:
    """All that the process is told."""

    bootstrap: str
    namespace: str
    partitions: int
    merchants: int
    seed: int
    stretches: tuple[Stretch, ...]
    drain_s: float = DRAIN_S  # for the last answers of a stretch

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        told: dict[str, Any] = json.loads(text)
        stretches = tuple(Stretch(**one) for one in told.pop("stretches"))
        return cls(**told, stretches=stretches)


class Probe:
    """The receiver of a KafkaDoor: knows when each command was planned."""

    def __init__(self) -> None:
        self.latencies = Latencies()
        self._planned: dict[bytes, float] = {}
        self._counts_from = 0.0
        self._began = 0.0

    @property
    def waiting(self) -> int:
        return len(self._planned)

    def begin(self, began: float, counts_from: float) -> None:
        self.latencies = Latencies()
        self._began, self._counts_from = began, counts_from
        self._planned.clear()

    def plan(self, command_id: bytes, at: float, now: float) -> None:
        self._planned[command_id] = at
        if at >= self._counts_from:
            self.latencies.record(now - self._began, LATE, now - at)

    def delivered(self, replies: Sequence[ConsumerRecord]) -> None:
        now = time.monotonic()
        for reply in replies:
            planned = self._planned.pop(reply.key, None)
            if planned is not None and planned >= self._counts_from:
                self.latencies.record(now - self._began, ANSWER, now - planned)

    def lost(self, letters: Sequence[Letter], reason: str) -> None:
        """They stay among those that wait, and are told as unanswered."""
        sys.stderr.write(f"{len(letters)} commands were lost: {reason}\n")


async def run(order: Order) -> None:
    door = KafkaDoor(connection(order.bootstrap), order.namespace, order.partitions, "payonce-bench-probe")
    probe = Probe()
    number = 0
    async with door:
        door.open(probe)
        for index, stretch in enumerate(order.stretches):
            commands = list(prepared_commands(order.seed, stretch.commands, order.merchants, first=number))
            number += stretch.commands
            with rare_collection():
                await _send(door, probe, index, stretch, commands)
                await _drain(door, probe, order.drain_s)
            _tell(_figures(index, probe))


async def _send(door: KafkaDoor, probe: Probe, index: int, stretch: Stretch, commands: Sequence[Prepared]) -> None:
    began = time.monotonic() + BEGIN_IN_S
    counts_from = began + stretch.warm_s
    probe.begin(began, counts_from)
    is_told = False
    for number, command in enumerate(commands):
        at = began + number / stretch.rate
        now = time.monotonic()
        if now < at:
            await asyncio.sleep(at - now)
            now = time.monotonic()
        if not is_told and at >= counts_from:
            is_told = True
            _tell({"counting": index})
        probe.plan(command.command_id, at, now)
        door.send(partition_of(command.key, door.partitions), Letter(command.command_id, command.key, command.value))
        if number % YIELD_EVERY == 0:
            await asyncio.sleep(0)  # whoever is late sends many at once, and replies must be heard meanwhile


async def _drain(door: KafkaDoor, probe: Probe, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while probe.waiting and time.monotonic() < deadline:
        if door.failed is not None:
            raise door.failed
        await asyncio.sleep(LOOK_S)


def _figures(index: int, probe: Probe) -> dict[str, Any]:
    probe.latencies.finish()
    totals = probe.latencies.totals
    return {
        "stretch": index,
        "counted": probe.latencies.count(ANSWER),
        "unanswered": probe.waiting,
        "answer_ms": figures_ms(totals.get(ANSWER)),
        "late_ms": figures_ms(totals.get(LATE)),
        "histogram": probe.latencies.to_json().get(ANSWER, ""),
    }


def _tell(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(run(Order.from_json(sys.stdin.readline())))
