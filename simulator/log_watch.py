"""Watch, from outside, how far the log and the processors' group have come.

In:      a KafkaConnection, a namespace.
Out:     offsets, owners, records of a range; nothing here writes a record.
Units:   offsets; waits in milliseconds or seconds, as named.
Errors:  LogWatchError, one sentence, when the log does not answer within its bound; BrokerUnavailable, when it
         cannot be reached at all.
Source:  research/kafka.md, 1.6: a read_committed consumer's end offsets are the last stable offsets.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from events.connection import KafkaConnection
from events.topics import processor_group, topic_name
from simulator.broker.tls import tls_context

Spot = tuple[str, int]  # a topic without its namespace, and a partition
READ_TIMEOUT_S = 10.0
_MEMBER = re.compile(r"payonce-processor-(.+)-[a-z]+\Z")


class Owner(NamedTuple):
    """One member of the processors' group; `instance` is what its client id calls the process."""

    instance: str
    member_id: str
    partitions: tuple[int, ...]


class LogWatchError(Exception):
    """The log did not answer in time."""


def client_options(connection: KafkaConnection) -> dict[str, Any]:
    """One KafkaConnection in the words of aiokafka's clients."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(connection.bootstrap_servers),
        "security_protocol": connection.protocol,
        "client_id": "payonce-simulator-watch",
    }
    if connection.uses_tls:
        options["ssl_context"] = tls_context(connection)
    if connection.uses_sasl:
        options |= {
            "sasl_mechanism": connection.mechanism,
            "sasl_plain_username": connection.username,
            "sasl_plain_password": connection.password,
        }
    return options


class LogWatch:
    """`async with LogWatch(connection, namespace) as log:`; the namespace's topics must be there."""

    def __init__(self, connection: KafkaConnection, namespace: str) -> None:
        self.namespace = namespace
        self.partitions = range(0)
        self._connection = connection
        self.options = client_options(connection)
        self.group = processor_group(namespace)
        self._committed = self._consumer("read_committed")
        self._uncommitted = self._consumer("read_uncommitted")
        self._admin = AIOKafkaAdminClient(**self.options)
        self._reading = asyncio.Lock()

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(self._committed.start(), self._uncommitted.start(), self._admin.start())
        except (KafkaError, ValueError):
            await self.__aexit__()
            from simulator.broker import cluster  # noqa: PLC0415  kio is slow to load, and only now needed

            await cluster.check(self._connection)  # says which of many reasons it was
            raise LogWatchError(f"No Kafka answers at {self._connection.bootstrap}.") from None
        (topic,) = await self._admin.describe_topics([topic_name(self.namespace, "commands")])
        self.partitions = range(len(topic["partitions"]))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(
            self._committed.stop(), self._uncommitted.stop(), self._admin.close(), return_exceptions=True
        )

    def _consumer(self, isolation_level: str) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            isolation_level=isolation_level, auto_offset_reset="none", fetch_max_wait_ms=100, **self.options
        )

    def topic_partition(self, spot: Spot) -> TopicPartition:
        return TopicPartition(topic_name(self.namespace, spot[0]), spot[1])

    def spots(self, *topics: str, partitions: Iterable[int] | None = None) -> list[Spot]:
        return [(topic, p) for topic in topics for p in (self.partitions if partitions is None else partitions)]

    # -- how far -------------------------------------------------------------------------------------------

    async def ends(self, spots: Sequence[Spot]) -> dict[Spot, int]:
        """The high watermarks: the end of the log, open transactions included."""
        return await self._ends(self._uncommitted, spots)

    async def stable_ends(self, spots: Sequence[Spot]) -> dict[Spot, int]:
        """The last stable offsets: what a read_committed reader can reach."""
        return await self._ends(self._committed, spots)

    async def _ends(self, consumer: AIOKafkaConsumer, spots: Sequence[Spot]) -> dict[Spot, int]:
        found = await consumer.end_offsets([self.topic_partition(spot) for spot in spots])
        return {spot: found[self.topic_partition(spot)] for spot in spots}

    async def starts(self, spots: Sequence[Spot]) -> dict[Spot, int]:
        found = await self._uncommitted.beginning_offsets([self.topic_partition(spot) for spot in spots])
        return {spot: found[self.topic_partition(spot)] for spot in spots}

    async def group_offsets(self) -> dict[int, int]:
        """The processors' group's offset of each partition of `commands`; 0 where it has none."""
        spots = [self.topic_partition(("commands", partition)) for partition in self.partitions]
        found = await self._admin.list_consumer_group_offsets(self.group, partitions=spots)
        return {spot.partition: max(0, found[spot].offset) for spot in spots}

    async def is_empty(self) -> bool:
        """Whether the processors' group has no member left; the dead are members until they are missed."""
        (response,) = await self._admin.describe_consumer_groups([self.group])
        return all(group[2] in ("Empty", "Dead") for group in response.groups)

    async def offsets_at(self, spots: Sequence[Spot], at_ms: int) -> dict[Spot, int]:
        """The first record of each spot that is not older than this instant; left out where there is none."""
        found = await self._uncommitted.offsets_for_times({self.topic_partition(spot): at_ms for spot in spots})
        whole = {spot: found.get(self.topic_partition(spot)) for spot in spots}
        return {spot: at.offset for spot, at in whole.items() if at is not None}

    async def owners(self) -> list[Owner]:
        """The members of the processors' group; none while it rebalances, or before it has a coordinator.

        The dead stay until they are missed.
        """
        try:
            (response,) = await self._admin.describe_consumer_groups([self.group])
        except GroupCoordinatorNotAvailableError:
            return []
        owners: list[Owner] = []
        for _error, _group, state, _type, _protocol, members, *_rest in response.groups:
            if state != "Stable":
                return []
            for member_id, *rest in members:
                # A static member's instance id stands before the client id in newer versions of the answer.
                client_id = next((text for text in rest if isinstance(text, str) and _MEMBER.match(text)), "")
                assignment = ConsumerProtocolMemberAssignment.decode(rest[-1])
                match = _MEMBER.match(client_id)
                partitions = tuple(tp.partition for tp in assignment.partitions())
                owners.append(Owner(match[1] if match else client_id, member_id, partitions))
        return owners

    # -- records -------------------------------------------------------------------------------------------

    async def read(
        self, ranges: Mapping[Spot, tuple[int, int]], *, committed: bool = False
    ) -> dict[Spot, list[ConsumerRecord]]:
        """The records of [start, end) of each spot; without aborted ones if `committed`."""
        wanted = {
            self.topic_partition(spot): (spot, start, end) for spot, (start, end) in ranges.items() if start < end
        }
        found: dict[Spot, list[ConsumerRecord]] = {spot: [] for spot in ranges}
        if not wanted:
            return found
        consumer = self._committed if committed else self._uncommitted
        async with self._reading:
            consumer.assign(list(wanted))
            for tp, (_, start, _end) in wanted.items():
                consumer.seek(tp, start)
            try:
                async with asyncio.timeout(READ_TIMEOUT_S):
                    await self._read_all(consumer, wanted, found)
            except TimeoutError:
                raise LogWatchError(f"the log did not give {sorted(ranges)} within {READ_TIMEOUT_S} s") from None
            finally:
                consumer.unsubscribe()
        return found

    async def _read_all(
        self,
        consumer: AIOKafkaConsumer,
        wanted: Mapping[TopicPartition, tuple[Spot, int, int]],
        found: dict[Spot, list[ConsumerRecord]],
    ) -> None:
        pending = set(wanted)
        while pending:
            batches = await consumer.getmany(*pending, timeout_ms=100)
            for tp, records in batches.items():
                spot, _, end = wanted[tp]
                found[spot] += [record for record in records if record.offset < end]
            for tp in list(pending):
                if await consumer.position(tp) >= wanted[tp][2]:
                    pending.discard(tp)

    async def tail(self, spots: Sequence[Spot]) -> AIOKafkaConsumer:
        """A consumer of its own at the end of these spots, open transactions included; the caller stops
        it.
        """
        consumer = self._consumer("read_uncommitted")
        await consumer.start()
        ends = await self.ends(spots)
        consumer.assign([self.topic_partition(spot) for spot in spots])
        for spot, end in ends.items():
            consumer.seek(self.topic_partition(spot), end)
        return consumer
