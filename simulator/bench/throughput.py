"""How many preloaded commands one subject answers a second, seen from outside.

In:      a Subject, a Feed, where Kafka is, how many partitions and processes.
Out:     one Run, its curve with it.
Units:   seconds; commands a second; CPU in microseconds a command.
Errors:  SubjectFailed, one sentence: it ended, it stopped answering, or its answers were not those asked for.
Source:  ListOffsets, read_committed: the last stable offsets of `replies`, which cost next to nothing. How many
         replies lie below each of them, and whether they answer what was asked, is read from the log afterwards.
"""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson
import psutil
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from events.connection import KafkaConnection
from events.topics import topic_name
from simulator.audit.log import Bounds, Fate
from simulator.bench.pace import Sample, pace, points, thinned
from simulator.bench.processes import Running
from simulator.bench.subjects import Place, Subject, SubjectFailed
from simulator.bench.topics import Feed, client_of, fill, topics
from simulator.log_fetch import fetch
from simulator.log_watch import LogWatch

LOOK_EVERY_S: Final = 0.1
SHORT: Final = 100_000  # commands; a run of fewer lasts a few seconds, and is looked at more often
LOOK_AT_SHORT_EVERY_S: Final = 0.025
QUIET_S: Final = 0.5  # after the last stable offsets moved, and are far enough, the answers are counted
STALLED_S: Final = 60.0
REPLIES: Final = "replies"

Live = Callable[[int], None]  # how many answers there are at most


@dataclass(frozen=True)
class Answers:
    """What was found on `replies`."""

    offsets: dict[int, "array[int]"]
    commands: int  # of those asked, how many were answered
    strangers: int  # answers to what nobody asked, or to the same once more
    replayed: int
    statuses: dict[str, int]

    @property
    def count(self) -> int:
        return sum(map(len, self.offsets.values()))


@dataclass(frozen=True)
class Run:
    """One run of one subject, as bench.json keeps it."""

    subject: str
    round: int
    partitions: int
    processes: int
    commands: int
    replays: int  # of the commands
    replayed: int  # as the answers say
    statuses: dict[str, int]
    does_the_work: bool
    start_s: float  # from its start to ready
    start_cpu_s: float
    seconds: float  # from ready to the last answer
    whole_per_s: float
    steady_per_s: float
    subject_cpu_us: float
    broker_cpu_us: float | None
    whole_subject_cpu_us: float
    curve: list[tuple[float, int]] = field(default_factory=list)  # seconds from ready, answers

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Kafka:
    """Where it is; `pid` is the broker's where that is ours to see."""

    connection: KafkaConnection
    pid: int | None

    def cpu_s(self) -> float | None:
        if self.pid is None:
            return None
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)


async def run_preloaded(
    subject: Subject,
    round_: int,
    what: Feed,
    kafka: Kafka,
    place: Place,
    processes: int = 1,
    live: Live = lambda _: None,
) -> Run:
    """Fill, start, watch, count, stop, delete."""
    samples: list[Sample] = []
    async with (
        topics(kafka.connection, place.namespace, place.partitions),
        client_of(kafka.connection) as client,
        LogWatch(kafka.connection, place.namespace) as log,
    ):
        await fill(client, place.namespace, what)
        running = Running(subject, place, processes)
        running.start()
        try:
            answers = await _until_all_answered(client, log, kafka, running, what, samples, live)
        except (KafkaError, TimeoutError) as error:
            raise SubjectFailed(f"{subject.name} could not be watched, Kafka answered {error!r}.") from None
        finally:
            await running.stop()
    if answers.strangers:
        raise SubjectFailed(f"{subject.name} gave {answers.strangers:,} answers that nobody had asked for.")
    seen = points(samples, answers.offsets)
    return Run(
        subject=subject.name,
        round=round_,
        partitions=place.partitions,
        processes=processes,
        commands=answers.commands,
        replays=what.replays,
        replayed=answers.replayed,
        does_the_work=subject.does_the_work,
        statuses=answers.statuses,
        start_s=running.ready_at - running.started_at,
        start_cpu_s=running.start_cpu_s,
        curve=[(round(point.at - running.ready_at, 3), point.answered) for point in thinned(seen)],
        **pace(running.ready_at, seen)._asdict(),
    )


async def _until_all_answered(
    client: AIOKafkaClient,
    log: LogWatch,
    kafka: Kafka,
    running: Running,
    what: Feed,
    samples: list[Sample],
    live: Live,
) -> Answers:
    """It is watched from its start, since it may answer before it says that it is ready."""
    enough = len(what.command_ids)
    getting_ready = asyncio.create_task(running.wait_ready())
    try:
        while True:
            await _watch(log, kafka, running, samples, enough, live)
            await getting_ready
            answers = await count_answers(client, log.namespace, samples[-1].stable, what.command_ids)
            if answers.commands >= enough:
                return answers
    finally:
        getting_ready.cancel()
        await asyncio.gather(getting_ready, return_exceptions=True)


async def _watch(log: LogWatch, kafka: Kafka, running: Running, samples: list[Sample], enough: int, live: Live) -> None:
    """Look at the stable ends until there may be enough of them and nothing moves any more."""
    spots = log.spots(REPLIES)
    every_s = LOOK_EVERY_S if enough >= SHORT else LOOK_AT_SHORT_EVERY_S
    moved_at = time.monotonic()
    while True:
        next_at = time.monotonic() + every_s
        stable = {partition: end for (_, partition), end in (await log.stable_ends(spots)).items()}
        now = time.monotonic()
        if samples and samples[-1].stable != stable:
            moved_at = now
        samples.append(Sample(now, stable, running.cpu_s(), kafka.cpu_s()))
        total = sum(stable.values())
        live(min(total, enough))
        if total >= enough and now > moved_at + QUIET_S:
            return
        running.check()
        if now > moved_at + STALLED_S:
            raise running.failed(f"gave {total:,} of {enough:,} answers, and none for {STALLED_S:.0f} s")
        await asyncio.sleep(max(0.0, next_at - time.monotonic()))


async def count_answers(
    client: AIOKafkaClient, namespace: str, stable: Mapping[int, int], asked: Collection[bytes]
) -> Answers:
    """Every committed reply below the stable ends, held against what was asked."""
    topic = topic_name(namespace, REPLIES)
    client.add_topic(topic)
    await client.force_metadata_update()
    offsets: dict[int, array[int]] = {}
    answered: set[bytes] = set()
    strangers = replayed = 0
    statuses: Counter[str] = Counter()
    for partition, end in stable.items():
        offsets[partition] = array("q")
        if not end:
            continue
        async for fetched in fetch(client, TopicPartition(topic, partition), Bounds(0, end, end)):
            for batch in fetched.batches:
                if batch.fate is not Fate.COMMITTED:
                    continue
                offsets[partition].extend(batch.offsets)
                for key, value in zip(batch.keys, batch.values, strict=True):
                    if key is None or key not in asked or key in answered:
                        strangers += 1
                        continue
                    answered.add(key)
                    reply = orjson.loads(value or b"{}")
                    replayed += reply.get("replayed") is True
                    statuses[str(reply.get("status"))] += 1
    return Answers(offsets, len(answered), strangers, replayed, dict(statuses))
