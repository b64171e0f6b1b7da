"""Kafka as anybody may use it: plain aiokafka clients of no group.

Out:     ends, records, the processors' group's offsets; records appended; the group's offsets moved.
Units:   offsets; seconds.
Errors:  KafkaError and TimeoutError while the broker is away.
"""

import asyncio
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, UnknownMemberIdError

from tests.support.outside.contract import TOPICS
from tests.support.outside.stack import Stack

Isolation = Literal["read_committed", "read_uncommitted"]
WITHIN_S = 15.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class ToAppend:
    """One record for `commands`, as it shall stand there."""

    partition: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Kafka:
    def __init__(self, stack: Stack) -> None:
        self._servers = stack.kafka
        self._namespace = stack.namespace
        self._group = f"{stack.namespace}.processor"

    def where(self, topic: str, partition: int) -> TopicPartition:
        return TopicPartition(f"{self._namespace}.{topic}", partition)

    def topic(self, where: TopicPartition) -> str:
        return str(where.topic).removeprefix(f"{self._namespace}.")

    async def partitions(self) -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:
            (told,) = await admin.describe_topics([f"{self._namespace}.commands"])
        finally:
            await admin.close()
        return len(told["partitions"])

    async def ends(self, isolation: Isolation, partitions: int) -> dict[TopicPartition, int]:
        """Of every topic: the last stable offsets, or the high watermarks."""
        consumer = await self._consumer(isolation)
        try:
            async with asyncio.timeout(WITHIN_S):
                return dict(await consumer.end_offsets(self._everywhere(partitions)))
        finally:
            await consumer.stop()

    async def records(
        self, isolation: Isolation, wanted: Mapping[TopicPartition, tuple[int, int]], within_s: float = WITHIN_S
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Those of [start, end) of each partition."""
        found: dict[TopicPartition, list[ConsumerRecord]] = {where: [] for where in wanted}
        pending = {where for where, (start, end) in wanted.items() if start < end}
        consumer = await self._consumer(isolation)
        try:
            async with asyncio.timeout(within_s):
                consumer.assign(sorted(pending))
                for where in pending:
                    consumer.seek(where, wanted[where][0])
                while pending:
                    for where, records in (await consumer.getmany(*pending, timeout_ms=200)).items():
                        found[where] += [one for one in records if one.offset < wanted[where][1]]
                    for where in list(pending):
                        if await consumer.position(where) >= wanted[where][1]:
                            pending.discard(where)
        finally:
            await consumer.stop()
        return found

    async def group_offsets(self, partitions: int) -> dict[int, int]:
        """How far the processors' group has committed `commands`; 0 where it has not."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:
            async with asyncio.timeout(WITHIN_S):
                wanted = [self.where("commands", one) for one in range(partitions)]
                found = await admin.list_consumer_group_offsets(self._group, partitions=wanted)
        finally:
            await admin.close()
        return {where.partition: max(0, found[where].offset) for where in wanted}

    async def append(self, records: Iterable[ToAppend], compression: str | None = None) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers, acks="all", request_timeout_ms=5_000, compression_type=compression
        )
        await producer.start()
        try:
            async with asyncio.timeout(WITHIN_S):
                topic = f"{self._namespace}.commands"
                sent = [
                    await producer.send(topic, one.value, one.key, one.partition, headers=list(one.headers))
                    for one in records
                ]
                await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def move_group(self, offsets: Mapping[int, int]) -> None:
        """Commit other offsets for the group, in a transaction: that asks for no membership, so nobody need stop."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            transactional_id=f"outsider-{os.getpid()}-{next(_numbers)}",
            transaction_timeout_ms=5_000,
            request_timeout_ms=5_000,
        )
        async with asyncio.timeout(WITHIN_S):
            await producer.start()
            try:
                async with producer.transaction():
                    moved = {self.where("commands", one): offset for one, offset in offsets.items()}
                    await producer.send_offsets_to_transaction(moved, self._group)
            finally:
                await producer.stop()

    async def move_empty_group(self, offsets: Mapping[int, int], within_s: float) -> None:
        """The same as an operator does it with Kafka's own tools: accepted as soon as the group has no member."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers, group_id=self._group, enable_auto_commit=False, request_timeout_ms=5_000
        )
        await consumer.start()
        try:
            moved = {self.where("commands", one): offset for one, offset in offsets.items()}
            consumer.assign(list(moved))
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        await consumer.commit(moved)
                        return
                    except (CommitFailedError, UnknownMemberIdError):
                        await asyncio.sleep(0.3)
        finally:
            await consumer.stop()

    def _everywhere(self, partitions: int) -> Sequence[TopicPartition]:
        return [self.where(topic, one) for topic in TOPICS for one in range(partitions)]

    async def _consumer(self, isolation: Isolation) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            isolation_level=isolation,
            auto_offset_reset="none",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
        )
        async with asyncio.timeout(WITHIN_S):
            await consumer.start()
        return consumer
