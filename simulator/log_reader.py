"""The raw log for the auditor: every record of the five topics, each known to be committed, aborted or open.

In:      a KafkaConnection and a namespace.
Out:     the log's extent, then of each partition batches of entries in offset order, a bounded number at a time.
Units:   offsets; seconds and milliseconds as named.
Errors:  LogReadError, one sentence: no broker, no such topics, or no progress for a while; AccessRefused.
Source:  below the last stable offset the broker says which records were aborted; at and above it they are open
         (`simulator.log_fetch`). Ends are positions fixed beforehand, never "the last record seen" (markers,
         compaction and aborted records leave gaps).

Order matters on a log that still moves: outputs' ends are fixed first and the end of `commands` last, so that
every event has its command within what is read. Whether all commands are done is then asked of the
processor's position.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from events.connection import KafkaConnection
from events.topics import processor_group, topic_name
from simulator.audit.log import COMMANDS, OUTPUTS, TOPICS, Batch, Bounds, Entry, Extent
from simulator.broker.errors import AccessRefused, BrokerUnavailable
from simulator.failure import Failure
from simulator.log_fetch import fetch
from simulator.log_watch import client_options

EXIT_UNKNOWN: Final = 3
COORDINATOR_S: Final = 10.0
COORDINATOR_PAUSE_S: Final = 0.1
REQUEST_TIMEOUT_MS: Final = 10_000


class LogReadError(Failure):
    """The log cannot be read to its end, so the verdict is unknown."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, exit_code=EXIT_UNKNOWN)


class LogReader:
    """`async with LogReader(connection, namespace) as log:` `extent` is fixed on entering, if it is not given."""

    extent: Extent

    def __init__(self, connection: KafkaConnection, namespace: str, extent: Extent | None = None) -> None:
        self._given = extent
        self._namespace = namespace
        self._connection = connection
        self._where = connection.bootstrap
        options = client_options(connection) | {"client_id": "payonce-audit-reader"}
        self._options = options | {"request_timeout_ms": REQUEST_TIMEOUT_MS}
        self._committed = self._consumer("read_committed")
        self._uncommitted = self._consumer("read_uncommitted")
        self._client = AIOKafkaClient(**self._options)

    def _consumer(self, isolation_level: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            isolation_level=isolation_level,
            auto_offset_reset="none",
            enable_auto_commit=False,
            **self._options,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._start()
            self.extent = self._given or await self._extent()
            await self._client.set_topics([topic_name(self._namespace, topic) for topic in TOPICS])
        except KafkaError as error:
            await self._stop()
            raise LogReadError(f"The log at {self._where} cannot be read: {error}.") from None
        except BaseException:
            await self._stop()
            raise
        return self

    async def _start(self) -> None:
        try:
            await asyncio.gather(*self._starting())
        except (KafkaError, ValueError) as error:
            from simulator.broker import cluster  # noqa: PLC0415  kio is slow to load, and only now needed

            try:
                await cluster.check(self._connection)  # says which of many reasons it was
            except AccessRefused:
                raise
            except BrokerUnavailable as why:
                raise LogReadError(str(why)) from None
            raise LogReadError(f"The log at {self._where} cannot be read: {error}.") from None

    def _starting(self) -> list[Coroutine[Any, Any, None]]:
        if self._given is not None:
            return [self._client.bootstrap()]
        return [self._committed.start(), self._uncommitted.start(), self._client.bootstrap()]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        closing = (self._committed.stop(), self._uncommitted.stop(), self._client.close())
        await asyncio.gather(*closing, return_exceptions=True)

    def _tp(self, topic: str, partition: int) -> TopicPartition:
        return TopicPartition(topic_name(self._namespace, topic), partition)

    async def _extent(self) -> Extent:
        there = await self._uncommitted.topics()
        absent = [topic for topic in TOPICS if topic_name(self._namespace, topic) not in there]
        if absent:
            missing = ", ".join(topic_name(self._namespace, topic) for topic in absent)
            raise LogReadError(f"There is no topic {missing} at {self._where}; is --namespace right?")
        names = [topic_name(self._namespace, topic) for topic in TOPICS]
        # All at once: asked for the offsets of a topic that it has not heard of, a consumer first waits 100 ms.
        await asyncio.gather(*(one._client.set_topics(names) for one in (self._committed, self._uncommitted)))
        partitions, group = await self._asked_of_the_admin()
        bounds: dict[tuple[str, int], Bounds] = {}
        for topics in (OUTPUTS, (COMMANDS,)):
            spots = {(topic, p): self._tp(topic, p) for topic in topics for p in range(partitions)}
            # The last stable offset first: what is stable then is below any end asked for later.
            stable = await self._committed.end_offsets(list(spots.values()))
            ends = await self._uncommitted.end_offsets(list(spots.values()))
            starts = await self._uncommitted.beginning_offsets(list(spots.values()))
            bounds |= {spot: Bounds(starts[tp], stable[tp], ends[tp]) for spot, tp in spots.items()}
        return Extent(partitions, bounds, group)

    async def _asked_of_the_admin(self) -> tuple[int, dict[int, int]]:
        """How many partitions there are, and the processors' group's offset in each."""
        admin = AIOKafkaAdminClient(**self._options)
        await admin.start()
        try:
            (described,) = await admin.describe_topics([topic_name(self._namespace, COMMANDS)])
            partitions = len(described["partitions"])
            spots = [self._tp(COMMANDS, partition) for partition in range(partitions)]
            found = await self._group_offsets(admin, spots)
        finally:
            await admin.close()
        return partitions, {spot.partition: max(0, found[spot].offset) for spot in spots if spot in found}

    async def _group_offsets(
        self, admin: AIOKafkaAdminClient, spots: list[TopicPartition]
    ) -> dict[TopicPartition, Any]:
        """A cluster whose first group is being asked for needs a moment to make its coordinator."""
        deadline = time.monotonic() + COORDINATOR_S
        while True:
            try:
                found: dict[TopicPartition, Any] = await admin.list_consumer_group_offsets(
                    processor_group(self._namespace), partitions=spots
                )
                return found
            except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, GroupLoadInProgressError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(COORDINATOR_PAUSE_S)

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[Entry]]:
        """Every record of one partition within the extent, a bounded number at a time."""
        async for batches in self.batches(topic, partition):
            yield [entry for batch in batches for entry in batch.entries()]

    async def batches(self, topic: str, partition: int) -> AsyncGenerator[list[Batch]]:
        """The same as `read`, in the batches in which producers appended them; those that are cut off are cut."""
        bounds = self.extent.bounds[topic, partition]
        if bounds.start >= bounds.end:
            return
        try:
            async for fetched in fetch(self._client, self._tp(topic, partition), bounds):
                yield fetched.batches
        except (KafkaError, TimeoutError) as error:
            raise LogReadError(f"{topic} {partition} cannot be read: {error}.") from None
