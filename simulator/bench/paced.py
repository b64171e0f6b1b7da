"""How soon one subject answers commands that come at a steady rate, and what CPU a command takes meanwhile.

In:      a Subject, where Kafka is, the stretches of rates that a probe process sends.
Out:     one Paced for each counted stretch.
Units:   milliseconds; CPU in microseconds a command.
Errors:  SubjectFailed, one sentence: it ended, or left commands without an answer.
Source:  the subject's and the broker's CPU are read when the probe says that a stretch counts, and when it is over.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from simulator.bench.probe import DRAIN_S, Order, Stretch
from simulator.bench.processes import Running
from simulator.bench.subjects import Place, Subject
from simulator.bench.throughput import Kafka
from simulator.bench.topics import topics
from simulator.failure import Failure
from simulator.supervisor import die_with_parent

WARM_UP: Final = Stretch(rate=2_000, warm_s=0.0, counted_s=6.0)  # told to nobody: a virtual machine compiles meanwhile
LINE_BYTES_MAX: Final = 1 << 20  # a histogram is some ten kilobytes
START_S: Final = 30.0

Live = Callable[[str], None]


@dataclass(frozen=True)
class Paced:
    """One stretch of one run, as bench.json keeps it."""

    subject: str
    round: int
    partitions: int
    processes: int
    rate: float
    commands: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    late_p99_ms: float
    subject_cpu_us: float
    broker_cpu_us: float | None
    histogram: str  # HdrHistogram, compressed, of nanoseconds

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


async def run_paced(
    subject: Subject,
    round_: int,
    kafka: Kafka,
    place: Place,
    stretches: Sequence[Stretch],
    *,
    merchants: int,
    seed: int,
    processes: int = 1,
    warm_up: Stretch = WARM_UP,
    drain_s: float = DRAIN_S,
    live: Live = lambda _: None,
) -> list[Paced]:
    """Start, warm up, send every stretch, stop, delete."""
    order = Order(place.bootstrap, place.namespace, place.partitions, merchants, seed, (warm_up, *stretches), drain_s)
    found: list[Paced] = []
    async with (
        topics(kafka.connection, place.namespace, place.partitions),
        Running(subject, place, processes) as running,
        _Probe(order) as probe,
    ):
        subject_s, broker_s = running.cpu_s(), kafka.cpu_s()
        while len(found) <= len(stretches):
            told = await probe.hear(running)
            now_s, broker_now_s = running.cpu_s(), kafka.cpu_s()
            if "counting" in told:
                live(f"{order.stretches[told['counting']].rate:,.0f} commands a second")
                subject_s, broker_s = now_s, broker_now_s
                continue
            if told["unanswered"]:
                raise running.failed(f"left {told['unanswered']:,} commands without an answer for {drain_s:g} s")
            stretch, answer, count = order.stretches[told["stretch"]], told["answer_ms"], told["counted"]
            found.append(
                Paced(
                    subject=subject.name,
                    round=round_,
                    partitions=place.partitions,
                    processes=processes,
                    rate=stretch.rate,
                    commands=count,
                    p50_ms=answer["p50"],
                    p90_ms=answer["p90"],
                    p99_ms=answer["p99"],
                    p99_9_ms=answer["p99.9"],
                    max_ms=answer["max"],
                    late_p99_ms=told["late_ms"]["p99"],
                    subject_cpu_us=(now_s - subject_s) / count * 1e6,
                    broker_cpu_us=None
                    if broker_now_s is None or broker_s is None
                    else (broker_now_s - broker_s) / count * 1e6,
                    histogram=told["histogram"],
                )
            )
    return found[1:]


class _Probe:
    """The probe's process and what it says."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._process: asyncio.subprocess.Process | None = None
        self._patience_s = max(one.warm_s + one.counted_s for one in order.stretches) + order.drain_s + START_S

    async def __aenter__(self) -> "_Probe":
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simulator.bench.probe",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self._order.to_json().encode() + b"\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
        if process is not None:
            await process.wait()

    async def hear(self, running: Running) -> dict[str, Any]:
        """The next line; raises when the probe or the subject is no more."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(self._patience_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise Failure(f"The probe said nothing for {self._patience_s:.0f} s.") from None
        running.check()
        if not line:
            raise Failure("The probe ended before its time; what it said is above.")
        told: dict[str, Any] = json.loads(line)
        return told
