"""Worlds a processor can live in: the log in memory, whose clock the test has, and a real Kafka.

In:      a namespace, a number of partitions.
Out:     processors that run as tasks, each with a log and a store of its own; what stands on the log.
Units:   milliseconds.

A processor can be told to die at a step (tests.support.mortal).
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as Theirs

from events.connection import KafkaConnection
from events.identifiers import POSITION_KEY
from events.partitioner import partition_of
from events.topics import processor_group, topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.memory import MemoryLog
from services.kafka.memory_broker import MemoryBroker
from services.kafka.memory_clock import ManualClock
from services.kafka.memory_writer import MemoryFaults
from services.kafka.port import Outgoing, Record, TopicPartition
from services.named_bugs import switched_on
from services.processor.main import BROKEN
from services.processor.observer import Observer
from services.processor.parts import Parts
from services.processor.store.port import KeyStore
from services.processor.surroundings import RealSurroundings, Surroundings
from services.processor.terms import Terms
from services.processor.worker import Worker
from tests.support.mortal import Death, MortalLog, MortalStore
from tests.support.wait import wait_until

DAY_MS = 86_400_000


class Processor:
    """One process, as a task: `name` is its identity, its store outlives it."""

    def __init__(
        self,
        world: "World",
        name: str,
        parts: Parts,
        predecessor: str | None,
    ) -> None:
        self.name = name
        self.store = parts.store
        self.member_id: str | None = predecessor
        self.observer = Observer(world.surroundings)
        self.stopped = asyncio.Event()
        self.ended_as_meant = False
        self._kafka = parts.kafka
        worker = Worker(parts, world.surroundings, self.observer)
        self.task = asyncio.ensure_future(worker.run(predecessor, self._remember, self.stopped))

    def _remember(self, member_id: str) -> None:
        self.member_id = member_id

    async def ready(self) -> None:
        def is_ready() -> bool:
            if self.task.done():
                self.task.result()
            return self.observer.is_ready

        await wait_until(is_ready, timeout_s=20, message=lambda: f"{self.name} is not ready: {self.observer.states}")

    async def stop(self) -> None:
        self.stopped.set()
        await self.task
        await self._kafka.close()

    async def ended(self) -> BaseException | None:
        """Wait for its end; what it died of."""
        with contextlib.suppress(BaseException):
            await asyncio.wait_for(asyncio.shield(self.task), 30)
        assert self.task.done(), f"{self.name} still runs"
        self.ended_as_meant = True
        await self._kafka.close()
        return self.task.exception()


class Told(NamedTuple):
    """A record read back."""

    topic: str
    partition: int
    record: Record

    @property
    def value(self) -> Any:
        return orjson.loads(self.record.value) if self.record.value is not None else None


class World(ABC):
    def __init__(self, namespace: str, partitions: int) -> None:
        self.namespace = namespace
        self.partitions = partitions
        self.surroundings: Surroundings
        self.processors: list[Processor] = []

    @abstractmethod
    async def connect(self, name: str) -> Any: ...

    @abstractmethod
    async def rewind(self, offsets: Mapping[int, int]) -> None:
        """Set the group's offsets from outside; nobody may be a member."""

    def terms(self, **changes: Any) -> Terms:
        return Terms(self.namespace, self.partitions, DAY_MS)._replace(**changes)

    async def processor(
        self,
        name: str = "p1",
        *,
        store: KeyStore | None = None,
        death: Death | None = None,
        predecessor: str | None = None,
        bugs: Collection[str] = (),
        **terms: Any,
    ) -> Processor:
        death = death or Death()
        kafka: Any = MortalLog(await self.connect(name), death)
        named = f"{self.namespace}.processor.{name}"
        parts = Parts(kafka, store or MortalStore(death), self.terms(**terms), named)
        made = Processor(self, name, switched_on(BROKEN, bugs, parts), predecessor)
        self.processors.append(made)
        return made

    async def append(self, *commands: Outgoing) -> None:
        by_partition: dict[TopicPartition, list[Outgoing]] = {}
        for one in commands:
            assert one.key is not None
            where = TopicPartition(topic_name(self.namespace, "commands"), partition_of(one.key, self.partitions))
            by_partition.setdefault(where, []).append(one)
        kafka = await self.connect("customer")
        writer = await kafka.plain_writer()
        try:
            await writer.start()
            await writer.produce(by_partition)
        finally:
            await writer.close()
            await kafka.close()

    async def read(self, topic: str) -> list[Told]:
        """Everything committed in this topic now, in log order of each partition."""
        kafka = await self.connect("reader")
        parts = [TopicPartition(topic_name(self.namespace, topic), one) for one in range(self.partitions)]
        reader = await kafka.reader()
        try:
            ends = await kafka.high_watermarks(parts)
            reader.assign(dict.fromkeys(parts, 0))
            found: list[Told] = []

            async def at_end() -> bool:
                for where, records in (await reader.fetch(20)).items():
                    found.extend(Told(topic, where.partition, record) for record in records)
                return all(reader.position(where) >= ends[where] for where in parts)

            await wait_until(at_end, timeout_s=20, message=lambda: f"{topic} has an open transaction")
            return found
        finally:
            await reader.close()
            await kafka.close()

    async def replies(self, count: int) -> list[dict[str, Any]]:
        """Wait for at least this many replies."""
        found: list[Told] = []

        async def enough() -> bool:
            found[:] = await self.read("replies")
            for one in self.processors:
                if one.task.done() and not one.ended_as_meant:
                    one.task.result()
            return len(found) >= count

        await wait_until(enough, timeout_s=30, message=lambda: f"{len(found)} replies of {count}")
        return [one.value for one in found]

    async def charges(self) -> list[dict[str, Any]]:
        return [one.value for one in await self.read("charges")]

    async def keys(self) -> dict[str, dict[str, Any] | None]:
        """The newest record of each key, positions left out."""
        records = await self.read("keys")
        return {(one.record.key or b"").decode(): one.value for one in records if one.record.key != POSITION_KEY}

    async def positions(self) -> dict[int, dict[str, Any]]:
        return {one.partition: one.value for one in await self.read("keys") if one.record.key == POSITION_KEY}

    async def close(self) -> None:
        for one in self.processors:
            if not one.task.done():
                one.task.cancel()
            await asyncio.gather(one.task, return_exceptions=True)


class _ClockSurroundings:
    """The worker's time is the clock's; a ticker moves it on while the test waits."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def elapsed_ms(self) -> float:
        return float(self._clock.now_ms())

    async def sleep(self, for_ms: int) -> None:
        until_ms = self._clock.now_ms() + for_ms
        while self._clock.now_ms() < until_ms:
            await self._clock.wait(until_ms)

    async def breathe(self) -> None:
        await asyncio.sleep(0)

    def spawn(self, work: Any, name: str) -> "asyncio.Task[Any]":
        return asyncio.create_task(work, name=name)

    async def aside(self, work: Any) -> Any:
        return work()

    async def first_of(self, tasks: Any, max_wait_ms: int) -> None:
        for one in tasks:
            one.add_done_callback(lambda _: self._clock.wake())
        until_ms = self._clock.now_ms() + max_wait_ms
        while self._clock.now_ms() < until_ms and not any(one.done() for one in tasks):
            await self._clock.wait(until_ms)


class MemoryWorld(World):
    def __init__(self, namespace: str, partitions: int) -> None:
        super().__init__(namespace, partitions)
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock.now_ms)
        self.faults = MemoryFaults()
        self.surroundings = _ClockSurroundings(self.clock)
        self._ticking = asyncio.ensure_future(self._tick())

    async def connect(self, name: str) -> Any:
        kafka = MemoryLog(self.broker, self.clock, name, self.faults)
        await kafka.ensure_topics(self.namespace, self.partitions)
        return kafka

    async def rewind(self, offsets: Mapping[int, int]) -> None:
        topic = topic_name(self.namespace, "commands")
        self.broker.set_offsets(processor_group(self.namespace), topic, dict(offsets))

    async def close(self) -> None:
        await super().close()
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.001)
            self.clock.advance(20)


class KafkaWorld(World):
    def __init__(self, namespace: str, partitions: int, connection: KafkaConnection) -> None:
        super().__init__(namespace, partitions)
        self.surroundings = RealSurroundings()
        self._connection = connection

    async def connect(self, name: str) -> Any:
        kafka = await KafkaLog.connect(self._connection, client_id=f"payonce-test-{name}")
        await kafka.ensure_topics(self.namespace, self.partitions)
        return kafka

    async def rewind(self, offsets: Mapping[int, int]) -> None:
        topic = topic_name(self.namespace, "commands")
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._connection.bootstrap,
            group_id=processor_group(self.namespace),
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            consumer.assign([Theirs(topic, one) for one in offsets])
            await consumer.commit({Theirs(topic, one): at for one, at in offsets.items()})
        finally:
            await consumer.stop()


@contextlib.asynccontextmanager
async def world_of(
    kind: str, namespace: str, partitions: int, connection: KafkaConnection | None
) -> AsyncIterator[World]:
    world: World
    if kind == "memory":
        world = MemoryWorld(namespace, partitions)
    else:
        assert connection is not None
        world = KafkaWorld(namespace, partitions, connection)
    try:
        yield world
    finally:
        await world.close()
