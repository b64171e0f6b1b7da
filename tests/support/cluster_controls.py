"""What an administrator may ask of a cluster of several brokers, for tests that disturb one.

In:      ThreeBrokers.
Out:     who leads, who coordinates; leaders moved; a cluster that is whole again.
Errors:  AssertionError where the cluster does not do as it was told in time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from kio.schema.alter_partition_reassignments.v0 import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
)
from kio.schema.alter_partition_reassignments.v0.request import ReassignablePartition, ReassignableTopic
from kio.schema.elect_leaders.v2 import ElectLeadersRequest, ElectLeadersResponse
from kio.schema.elect_leaders.v2.request import TopicPartitions
from kio.schema.metadata.v12 import MetadataRequest, MetadataResponse
from kio.schema.metadata.v12.response import MetadataResponseTopic
from kio.schema.types import BrokerId, TopicName
from kio.static.primitive import i8, i32, i32Timedelta

from events.connection import connection
from services.kafka.cluster import Cluster, CoordinatorOf
from services.kafka.errors import Indefinite, Retriable
from services.kafka.patience import ask_again
from services.kafka.port import TopicPartition
from services.kafka.transactions import coordinating_partition
from tests.support.three_brokers import NODES, ThreeBrokers
from tests.support.wait import wait_until

WHOLE_S: Final = 40.0
MOVED_S: Final = 20.0
INTERNAL_PARTITIONS: Final = 6  # as three_brokers has it
_TIMEOUT: Final = i32Timedelta.parse(timedelta(seconds=10))
_PREFERRED: Final = i8(0)


class Controls:
    def __init__(self, brokers: ThreeBrokers) -> None:
        self.brokers = brokers
        self._cluster = Cluster(connection(brokers.bootstrap_servers), "payonce-test-controls")

    async def topics(self) -> dict[str, MetadataResponseTopic]:
        """Every topic as the cluster tells it now; internal ones too."""
        request = MetadataRequest(
            topics=None, allow_auto_topic_creation=False, include_topic_authorized_operations=False
        )
        answer = await self._cluster.ask(request, MetadataResponse)
        return {str(topic.name): topic for topic in answer.topics}

    async def leader(self, where: TopicPartition) -> int:
        """The node that leads now; -1 while none does."""
        topic = (await self.topics())[where.topic]
        return next(int(one.leader_id) for one in topic.partitions if one.partition_index == where.partition)

    async def coordinator(self, of: CoordinatorOf, key: str) -> int:
        """The node that Kafka says coordinates this group or transactional id."""
        return await self._cluster.coordinator(of, key)

    async def move(self, where: TopicPartition, node: int) -> None:
        """Have this node lead: made the preferred replica, then elected. The leader before goes on as a follower."""
        replicas = (node, *(one for one in NODES if one != node))
        partition = ReassignablePartition(
            partition_index=i32(where.partition), replicas=tuple(BrokerId(one) for one in replicas)
        )
        topic = ReassignableTopic(name=TopicName(where.topic), partitions=(partition,))
        reassign = AlterPartitionReassignmentsRequest(timeout=_TIMEOUT, topics=(topic,))
        elect = ElectLeadersRequest(
            election_type=_PREFERRED,
            topic_partitions=(TopicPartitions(topic=TopicName(where.topic), partitions=(i32(where.partition),)),),
            timeout=_TIMEOUT,
        )

        async def moved() -> bool:
            await self._cluster.ask(reassign, AlterPartitionReassignmentsResponse)
            await self._cluster.ask(elect, ElectLeadersResponse)
            return await self.leader(where) == node

        await wait_until(moved, timeout_s=MOVED_S, message=f"{where} is not led by {node}")

    async def uncopied_topic(self, namespace: str) -> str:
        """A topic with one partition on each node alone; its name. What one broker leads, no other can."""
        name = f"{namespace}.uncopied"
        admin = AIOKafkaAdminClient(bootstrap_servers=self.brokers.bootstrap_servers)
        await admin.start()
        try:
            where = {number: [node] for number, node in enumerate(NODES)}
            settings = {"min.insync.replicas": "1"}
            await admin.create_topics([NewTopic(name, -1, -1, replica_assignments=where, topic_configs=settings)])
        finally:
            await admin.close()
        return name

    async def whole(self) -> None:
        """Start what is down, and wait until every partition has all of its copies in sync."""
        await asyncio.to_thread(self.brokers.start)
        for of in CoordinatorOf:  # the question makes the internal topics

            async def ask(of: CoordinatorOf = of) -> None:
                self._cluster.forget_coordinator(of, "anybody")
                await self._cluster.coordinator(of, "anybody")

            await ask_again(ask, WHOLE_S * 1000, "a coordinator")
        behind: list[str] = []

        async def in_sync() -> bool:
            try:
                topics = await self.topics()
            except (Retriable, Indefinite) as error:
                behind[:] = [str(error)]
                return False
            behind[:] = [
                f"{name} {one.partition_index}"
                for name, topic in topics.items()
                for one in topic.partitions
                if len(one.isr_nodes) < len(one.replica_nodes) or int(one.leader_id) < 0
            ]
            return not behind

        await wait_until(in_sync, timeout_s=WHOLE_S, message=lambda: f"not in sync: {behind}")

    def close(self) -> None:
        self._cluster.close()


@asynccontextmanager
async def controls(brokers: ThreeBrokers) -> AsyncIterator[Controls]:
    made = Controls(brokers)
    try:
        await made.whole()
        yield made
    finally:
        made.close()


def group_partition(group: str) -> TopicPartition:
    """The partition whose leader coordinates this group."""
    return TopicPartition("__consumer_offsets", coordinating_partition(group, INTERNAL_PARTITIONS))


def transaction_partition(transactional_id: str) -> TopicPartition:
    """The partition whose leader coordinates this producer's transactions."""
    return TopicPartition("__transaction_state", coordinating_partition(transactional_id, INTERNAL_PARTITIONS))
