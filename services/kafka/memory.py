"""The log in memory: the second adapter of the port, deterministic, for tests and for exploring schedules.

In:      a MemoryBroker, which several logs may share as several processes share a cluster; a clock handed in.
Out:     what services.kafka.port asks for.
Units:   milliseconds of the clock handed in; nothing here sleeps or looks at another.
Errors:  those of services.kafka.errors. `MemoryFaults` loses, holds back and releases single requests.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from events.topics import TOPICS, topic_name
from services.kafka.errors import KafkaFailure, Retriable
from services.kafka.memory_broker import MemoryBroker
from services.kafka.memory_clock import Clock
from services.kafka.memory_writer import MemoryFaults, MemoryPlainWriter, MemoryWriter
from services.kafka.port import Assignment, Record, Scope, TopicPartition

FETCHED_MOST: Final = 500  # records of one partition in one fetch
_STABLE_MS: Final = 1_000


class MemoryLog:
    def __init__(self, broker: MemoryBroker, clock: Clock, client_id: str, faults: MemoryFaults | None = None) -> None:
        self._broker = broker
        self._clock = clock
        self._client_id = client_id
        self._faults = faults or MemoryFaults()
        broker.changed = clock.wake

    async def ensure_topics(self, namespace: str, partitions: int) -> None:
        for name, topic in TOPICS.items():
            if not self._broker.partitions(topic_name(namespace, name)):
                compacted = topic.required["cleanup.policy"] == "compact"
                self._broker.create_topic(topic_name(namespace, name), partitions, compacted=compacted)

    async def reader(self, *, committed: bool = True, small: bool = False) -> "MemoryReader":
        return MemoryReader(self._broker, self._clock, committed=committed)

    async def writer(self, transactional_id: str, transaction_timeout_ms: int, scope: Scope) -> "MemoryWriter":
        return MemoryWriter(self._broker, self._faults, transactional_id, transaction_timeout_ms)

    async def plain_writer(self) -> "MemoryPlainWriter":
        return MemoryPlainWriter(self._broker)

    async def membership(self, group: str, topic: str, session_timeout_ms: int) -> "MemoryMembership":
        return MemoryMembership(self._broker, self._clock, self._client_id, group, topic)

    async def stable_offsets(self, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int | None]:
        until_ms = self._clock.now_ms() + _STABLE_MS
        while True:
            answer = self._broker.stable_offsets(group, topic, partitions)
            if not isinstance(answer, KafkaFailure):
                return answer
            if self._clock.now_ms() >= until_ms:
                raise Retriable(str(answer), code=answer.code)
            await self._clock.wait(until_ms)

    async def tell_offsets(self, group: str, positions: Mapping[TopicPartition, int]) -> None:
        for where, offset in positions.items():
            self._broker.set_offsets(group, where.topic, {where.partition: offset})

    async def write_missing_markers(self, scope: Scope) -> int:
        return 0  # here a decision and its markers are one step

    async def log_starts(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {where: self._broker.log_start(where) for where in partitions}

    async def high_watermarks(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {where: self._broker.high_watermark(where) for where in partitions}

    async def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        return {name: self._broker.topic_id(name) for name in topics}

    async def close(self) -> None:
        """Nothing is held."""


class MemoryReader:
    def __init__(self, broker: MemoryBroker, clock: Clock, *, committed: bool) -> None:
        self._broker = broker
        self._clock = clock
        self._committed = committed
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._positions = dict(positions)
        self._paused.clear()

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)
        self._clock.wake()

    async def fetch(self, max_wait_ms: int) -> Mapping[TopicPartition, Sequence[Record]]:
        until_ms = self._clock.now_ms() + max_wait_ms
        while True:
            fetched, moved = self._take()
            if fetched or moved or self._clock.now_ms() >= until_ms:
                return fetched
            await self._clock.wait(until_ms)

    def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def close(self) -> None:
        self._positions = {}

    def _take(self) -> tuple[dict[TopicPartition, Sequence[Record]], bool]:
        self._broker.expire()
        fetched: dict[TopicPartition, Sequence[Record]] = {}
        moved = False
        for where, position in self._positions.items():
            if where in self._paused:
                continue
            records, after = self._broker.read(where, position, committed=self._committed, most=FETCHED_MOST)
            self._positions[where] = after
            moved = moved or after != position
            if records:
                fetched[where] = records
        return fetched, moved


class MemoryMembership:
    def __init__(self, broker: MemoryBroker, clock: Clock, client_id: str, group: str, topic: str) -> None:
        self._broker = broker
        self._clock = clock
        self._client_id = client_id
        self._group = group
        self._topic = topic
        self._member_id = ""
        self._current: Assignment | None = None

    async def start(self, predecessor: str | None) -> None:
        if predecessor:
            self._broker.leave(self._group, predecessor)
        self._join()

    @property
    def current(self) -> Assignment | None:
        return self._current

    async def changed(self, seen: Assignment | None, max_wait_ms: int) -> Assignment | None:
        until_ms = self._clock.now_ms() + max_wait_ms
        while self._current == seen and self._clock.now_ms() < until_ms:
            await self._clock.wait(until_ms)
        return self._current

    async def confirm(self, assignment: Assignment) -> bool:
        return self._current == assignment and self._broker.is_member(self._group, assignment)

    async def rejoin(self) -> None:
        self._broker.leave(self._group, self._member_id)
        self._current = None
        self._join()

    async def close(self) -> None:
        self._broker.leave(self._group, self._member_id)
        self._share_out_soon()

    def abandon(self) -> None:
        """As if the process had been killed and its session had ended."""
        self._broker.leave(self._group, self._member_id)
        self._share_out_soon()

    def _join(self) -> None:
        self._member_id = self._broker.mint_member_id(self._client_id)
        self._broker.join(self._group, self._topic, self._member_id, self._set)
        self._share_out_soon()

    def _share_out_soon(self) -> None:
        # A rebalance takes a moment on Kafka too: whoever looks now sees that nothing is theirs.
        asyncio.get_running_loop().call_soon(self._broker.share_out, self._group)

    def _set(self, assignment: Assignment | None) -> None:
        self._current = assignment
        self._clock.wake()
