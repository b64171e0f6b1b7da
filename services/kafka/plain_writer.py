"""The writer below exactly-once: idempotent, acks=all, no Kafka transaction.

In:      records by partition; the group's offsets with the member id and generation they were read under.
Out:     base offsets. What was produced is readable at once, whatever happens next: that is the point of
         the ladder.
Errors:  as the transactional writer's; after a failed produce a new writer must be made.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from kio.schema.offset_commit.v9 import OffsetCommitRequest, OffsetCommitResponse
from kio.schema.offset_commit.v9.request import OffsetCommitRequestPartition, OffsetCommitRequestTopic
from kio.schema.types import GroupId, TopicName
from kio.static.primitive import i32, i64

from services.kafka.appender import Appender
from services.kafka.cluster import ASKING_MS, Cluster, CoordinatorOf
from services.kafka.codes import Code, Kind, Request, failure, kind
from services.kafka.errors import Abortable, Indefinite, KafkaFailure, Retriable, StaleGeneration
from services.kafka.patience import Patience
from services.kafka.port import Assignment, Outgoing, TopicPartition
from services.kafka.producer_id import idempotent_appender

DELIVERY_MS: Final = 15_000


class PlainWriter:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._appender: Appender | None = None

    async def start(self) -> None:
        self._appender = await idempotent_appender(self._cluster, DELIVERY_MS, ASKING_MS)

    async def idle(self) -> None:
        """Whatever was written can be read."""

    async def recover(self) -> None:
        """Nothing of ours is open, so there is nothing to recover; a new producer id forgets what failed."""
        await self.start()

    async def produce(self, records: Mapping[TopicPartition, Sequence[Outgoing]]) -> dict[TopicPartition, int]:
        appender, self._appender = self._appender, None
        if appender is None:
            raise Abortable("a produce of this writer failed before: make a new one")
        base_offsets = await appender.append(records, DELIVERY_MS)
        self._appender = appender
        return base_offsets

    async def send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        if not member.member_id or member.generation < 0:
            raise StaleGeneration("offsets without a member id and a generation would be checked by nobody")
        request = OffsetCommitRequest(
            group_id=GroupId(group),
            generation_id_or_member_epoch=i32(member.generation),
            member_id=member.member_id,
            topics=(
                OffsetCommitRequestTopic(
                    name=TopicName(topic),
                    partitions=tuple(
                        OffsetCommitRequestPartition(
                            partition_index=i32(partition),
                            committed_offset=i64(offset),
                            committed_metadata="",
                        )
                        for partition, offset in offsets.items()
                    ),
                ),
            ),
        )
        patience = Patience(DELIVERY_MS)
        while True:
            trouble: KafkaFailure
            try:
                answer = await self._cluster.call_coordinator(CoordinatorOf.GROUP, group, request, OffsetCommitResponse)
            except (Retriable, Indefinite) as error:
                trouble = error  # the same offsets again are the same offsets
            else:
                codes = {one.error_code for name in answer.topics for one in name.partitions} - {Code.none}
                if not codes:
                    return
                code = codes.pop()
                trouble = failure(code, Request.OFFSET_COMMIT, group)
                if kind(code, Request.OFFSET_COMMIT) is not Kind.RETRIABLE:
                    raise trouble
                self._cluster.forget_coordinator(CoordinatorOf.GROUP, group)
            if patience.spent:
                raise trouble
            await patience.pause()

    async def commit(self) -> None:
        """Nothing is open."""

    async def abort(self) -> None:
        """Nothing is open."""

    async def close(self) -> None:
        self._cluster.close()
