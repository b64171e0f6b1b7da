"""Worlds a log can live in: in memory, and on a real Kafka behind a proxy that loses and holds back EndTxn.

In:      a namespace.
Out:     logs of several processes over one cluster, and what a test may do to that cluster.
Units:   milliseconds.
"""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition as Theirs

from events.connection import KafkaConnection, connection
from services.kafka.kafka_log import KafkaLog
from services.kafka.memory import MemoryLog
from services.kafka.memory_broker import MemoryBroker
from services.kafka.memory_clock import ManualClock
from services.kafka.memory_writer import MemoryFaults
from services.kafka.port import Assignment, Log, Membership, Outgoing, Reader, Record, Scope, TopicPartition, Writer
from simulator.broker.embedded import EmbeddedBroker
from simulator.proxy.kafka import Act, KafkaProxy, Rule
from tests.support.wait import wait_until

PARTITIONS: Final = 4
REQUEST_TIMEOUT_MS: Final = 2_000  # how long a client waits for an answer that the proxy has eaten in silence
# So that compaction can be watched: a new segment at the next append after half a second.
_QUICKLY_COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "300",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "500",
    "delete.retention.ms": "100",
}


@dataclass(frozen=True)
class ProxiedBroker:
    """A broker, and the socket that its advertised address leads to."""

    broker: EmbeddedBroker
    listening: socket.socket

    def proxy(self) -> KafkaProxy:
        assert self.broker.proxied_upstream is not None
        return KafkaProxy(self.broker.proxied_upstream, self.listening)


class World(ABC):
    """A cluster with three topics, and one log per process that a test makes."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.group = f"{namespace}.group"
        self.commands = f"{namespace}.commands"
        self.out = f"{namespace}.out"
        self.compacted = f"{namespace}.compacted"
        self._closing: list[Log | Reader | Writer | Membership] = []

    @abstractmethod
    async def log(self) -> Log: ...

    @abstractmethod
    def lose_next_end(self, *, answer_only: bool) -> None: ...

    @abstractmethod
    def hold_next_end(self) -> None: ...

    @abstractmethod
    async def release_end(self) -> int: ...

    @abstractmethod
    async def delete_before(self, where: TopicPartition, offset: int) -> None: ...

    @abstractmethod
    async def compact(self, where: TopicPartition) -> None: ...

    @abstractmethod
    async def pass_time(self, ms: int) -> None:
        """Let as much time go by on the cluster's clock."""

    async def reader(self, *, committed: bool = True) -> Reader:
        made = await (await self.log()).reader(committed=committed)
        self._closing.append(made)
        return made

    async def writer(self, name: str = "w", *, transaction_timeout_ms: int = 10_000, started: bool = True) -> Writer:
        scope = Scope((self.out, self.compacted), self.group)
        made = await (await self.log()).writer(f"{self.namespace}.{name}", transaction_timeout_ms, scope)
        self._closing.append(made)
        if started:
            await made.start()
        return made

    async def member(self, predecessor: str | None = None) -> tuple[Membership, Assignment]:
        """A member of the group that has its first assignment."""
        made = await (await self.log()).membership(self.group, self.commands, 6_000)
        self._closing.append(made)
        await made.start(predecessor)
        return made, await assigned(made)

    async def read_all(self, where: TopicPartition, *, committed: bool = True) -> list[Record]:
        """Everything readable up to the high watermark of now."""
        log = await self.log()
        end = (await log.high_watermarks([where]))[where]
        start = (await log.log_starts([where]))[where]
        reader = await self.reader(committed=committed)
        reader.assign({where: start})
        found: list[Record] = []
        async with asyncio.timeout(15):
            while reader.position(where) < end:
                found += (await reader.fetch(200)).get(where, ())
        return found

    async def values(self, where: TopicPartition) -> list[bytes | None]:
        return [one.value for one in await self.read_all(where)]

    async def close(self) -> None:
        for one in reversed(self._closing):
            await one.close()


class MemoryWorld(World):
    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock.now_ms)
        self.faults = MemoryFaults()
        self.broker.create_topic(self.commands, PARTITIONS)
        self.broker.create_topic(self.out, PARTITIONS)
        self.broker.create_topic(self.compacted, 1, compacted=True)

    async def log(self) -> Log:
        return MemoryLog(self.broker, self.clock, "payonce-test", self.faults)

    def lose_next_end(self, *, answer_only: bool) -> None:
        self.faults.lose_next_end(answer_only=answer_only)

    def hold_next_end(self) -> None:
        self.faults.hold_next_end()

    async def release_end(self) -> int:
        return self.faults.release_end()

    async def delete_before(self, where: TopicPartition, offset: int) -> None:
        self.broker.delete_before(where, offset)

    async def compact(self, where: TopicPartition) -> None:
        self.broker.compact(where)

    async def pass_time(self, ms: int) -> None:
        self.clock.advance(ms)
        self.broker.expire()


class KafkaWorld(World):
    def __init__(self, namespace: str, proxied: ProxiedBroker, proxy: KafkaProxy) -> None:
        super().__init__(namespace)
        self.proxied = proxied
        self.proxy = proxy
        self._held: Rule | None = None
        self._admin = AIOKafkaAdminClient(bootstrap_servers=proxied.broker.bootstrap_servers)

    @property
    def proxied_connection(self) -> KafkaConnection:
        return connection(self.proxy.address)

    async def start(self) -> None:
        await self._admin.start()
        await self._admin.create_topics(
            [
                NewTopic(self.commands, PARTITIONS, 1),
                NewTopic(self.out, PARTITIONS, 1),
                NewTopic(self.compacted, 1, 1, topic_configs=_QUICKLY_COMPACTED),
            ]
        )

    async def log(self, client_id: str = "payonce-test") -> KafkaLog:
        made = await KafkaLog.connect(
            self.proxied_connection, client_id=client_id, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        self._closing.append(made)
        return made

    def lose_next_end(self, *, answer_only: bool) -> None:
        self.proxy.add(Rule(Act.LOSE_ANSWER if answer_only else Act.LOSE_REQUEST, "EndTxn"))

    def hold_next_end(self) -> None:
        self._held = self.proxy.add(Rule(Act.HOLD_REQUEST, "EndTxn"))

    async def release_end(self) -> int:
        assert self._held is not None
        (answer,) = await self.proxy.release(self._held)
        return int(answer.error_code)  # type: ignore[attr-defined]  # an EndTxnResponse

    async def delete_before(self, where: TopicPartition, offset: int) -> None:
        await self._admin.delete_records({Theirs(*where): RecordsToDelete(before_offset=offset)})

    async def compact(self, where: TopicPartition) -> None:
        """Append until the cleaner has been at the first record of a key that has a newer one."""
        writer = await (await self.log()).plain_writer()
        self._closing.append(writer)

        async def is_compacted() -> bool:
            await writer.produce({where: [Outgoing(b"tick", b"tick")]})
            keys = [one.key for one in await self.read_all(where) if one.key != b"tick"]
            return len(keys) == len(set(keys)) and b"gone" not in keys

        await wait_until(is_compacted, timeout_s=30, message=f"{where} was not compacted")

    async def pass_time(self, ms: int) -> None:
        await asyncio.sleep(ms / 1000)

    async def close(self) -> None:
        await super().close()
        await self._admin.close()
        await self.proxy.close()


@asynccontextmanager
async def memory_world(namespace: str) -> AsyncIterator[MemoryWorld]:
    made = MemoryWorld(namespace)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def kafka_world(namespace: str, proxied: ProxiedBroker) -> AsyncIterator[KafkaWorld]:
    proxy = proxied.proxy()
    await proxy.start()
    made = KafkaWorld(namespace, proxied, proxy)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def assigned(member: Membership, *, than: Assignment | None = None) -> Assignment:
    """The member's next assignment that is another than the one given."""
    async with asyncio.timeout(15):
        while True:
            current = await member.changed(None, 100) if member.current is None else member.current
            if current is not None and current != than:
                return current
            await member.changed(current, 100)


def records(*values: str, key: bytes = b"k") -> Sequence[Outgoing]:
    return [Outgoing(key, value.encode()) for value in values]


async def transact(
    writer: Writer,
    world: World,
    member: Assignment,
    produced: Mapping[TopicPartition, Sequence[Outgoing]],
    offsets: Mapping[int, int],
) -> dict[TopicPartition, int]:
    """One whole transaction, committed."""
    base_offsets = await writer.produce(produced)
    await writer.send_offsets(world.group, world.commands, offsets, member)
    await writer.commit()
    return base_offsets
