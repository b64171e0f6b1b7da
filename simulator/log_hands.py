"""What any client of the cluster may do to the log: move the group's offsets, append commands, join the group.

In:      a LogWatch, which knows how to reach the cluster.
Out:     nothing but what is then on the log.
Units:   offsets; waits in seconds.
Errors:  LogWatchError, one sentence, when the cluster does not do it in time.
Source:  research/kafka.md, 1.1: a transactional commit by an outsider is accepted for an active group, a plain one
         only for an empty one.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from events.topics import topic_name
from simulator.log_watch import LogWatch, LogWatchError, Spot

WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """One record to append to `commands`, in whatever partition."""

    partition: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


async def move_group_offsets(log: LogWatch, offsets: Mapping[int, int]) -> None:
    """Commit other offsets for the group while it works: in a transaction, which asks for no membership."""
    producer = AIOKafkaProducer(
        transactional_id=f"{log.namespace}.simulator.{uuid.uuid4().hex}",
        transaction_timeout_ms=5_000,
        request_timeout_ms=5_000,
        **log.options,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            await producer.start()
            await producer.begin_transaction()
            commits = {log.topic_partition(("commands", partition)): offset for partition, offset in offsets.items()}
            await producer.send_offsets_to_transaction(commits, log.group)
            await producer.commit_transaction()
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        raise LogWatchError(f"the group's offsets could not be moved: {error!r}") from error


async def reset_idle_group(log: LogWatch, offsets: Mapping[int, int]) -> None:
    """Commit other offsets for a group without members, as `kafka-consumer-groups --reset-offsets` does."""
    consumer = AIOKafkaConsumer(group_id=log.group, enable_auto_commit=False, **log.options)
    try:
        async with asyncio.timeout(WITHIN_S):
            await consumer.start()
            commits = {log.topic_partition(("commands", partition)): offset for partition, offset in offsets.items()}
            consumer.assign(list(commits))
            await consumer.commit(commits)
    except (KafkaError, TimeoutError) as error:
        raise LogWatchError(f"the idle group's offsets could not be reset: {error!r}") from error
    finally:
        await consumer.stop()


async def append(log: LogWatch, parcels: Sequence[Parcel]) -> list[tuple[Spot, int]]:
    """Append to `commands`, partition by partition as told; where each record now is."""
    producer = AIOKafkaProducer(enable_idempotence=True, acks="all", **log.options)
    topic = topic_name(log.namespace, "commands")
    try:
        async with asyncio.timeout(WITHIN_S):
            await producer.start()
            sent = [
                await producer.send(
                    topic, parcel.value, key=parcel.key, partition=parcel.partition, headers=list(parcel.headers)
                )
                for parcel in parcels
            ]
            landed = await asyncio.gather(*sent)
    except (KafkaError, TimeoutError) as error:
        raise LogWatchError(f"commands could not be appended: {error!r}") from error
    finally:
        with suppress(KafkaError, TimeoutError):
            await producer.stop()
    return [(("commands", metadata.partition), metadata.offset) for metadata in landed]


@asynccontextmanager
async def stranger(log: LogWatch) -> AsyncIterator[AIOKafkaConsumer]:
    """One more member of the processors' group, which takes its share of the partitions and does nothing with it."""
    consumer = AIOKafkaConsumer(
        topic_name(log.namespace, "commands"),
        group_id=log.group,
        enable_auto_commit=False,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
        # Whichever the group's members have; aiokafka offers them one after the other, each beside those before it.
        partition_assignment_strategy=[RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor],
        **{**log.options, "client_id": "payonce-simulator-stranger"},
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
