"""Questions about offsets: the group's stable ones, the log's start and end; and offsets told for others to see.

Units:   offsets count records of one partition; milliseconds.
Errors:  Retriable when no answer came in time; Fatal for an unknown topic that stays unknown, or a refusal.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from kio.schema.list_offsets.v7 import ListOffsetsRequest, ListOffsetsResponse
from kio.schema.list_offsets.v7.request import ListOffsetsPartition, ListOffsetsTopic
from kio.schema.offset_commit.v9 import OffsetCommitRequest, OffsetCommitResponse
from kio.schema.offset_commit.v9.request import OffsetCommitRequestPartition, OffsetCommitRequestTopic
from kio.schema.offset_fetch.v9 import OffsetFetchRequest, OffsetFetchResponse
from kio.schema.offset_fetch.v9.request import OffsetFetchRequestGroup, OffsetFetchRequestTopics
from kio.schema.types import BrokerId, GroupId, TopicName
from kio.static.primitive import i8, i32, i64

from services.kafka.cluster import Cluster, CoordinatorOf, partition_index
from services.kafka.codes import Code, Request, failure
from services.kafka.leaders import ask_leaders, by_topic
from services.kafka.patience import ask_again
from services.kafka.port import TopicPartition

STABLE_MS: Final = 1_000  # the markers of an end take milliseconds; for longer than that the caller has more to do
_EARLIEST: Final = i64(-2)
_LATEST: Final = i64(-1)
_NOT_SET: Final = -1


async def stable_offsets(cluster: Cluster, group: str, topic: str, partitions: Sequence[int]) -> dict[int, int | None]:
    """OffsetFetch with require_stable: 88 while an open transaction carries one of them."""
    if not partitions:
        return {}
    request = OffsetFetchRequest(
        groups=(
            OffsetFetchRequestGroup(
                group_id=GroupId(group),
                topics=(
                    OffsetFetchRequestTopics(
                        name=TopicName(topic), partition_indexes=tuple(i32(one) for one in partitions)
                    ),
                ),
            ),
        ),
        require_stable=True,
    )

    async def ask() -> dict[int, int | None]:
        answer = await cluster.call_coordinator(CoordinatorOf.GROUP, group, request, OffsetFetchResponse)
        fetched = answer.groups[0]
        found = [one for name in fetched.topics for one in name.partitions]
        for code in (fetched.error_code, *(one.error_code for one in found)):
            if code == Code.none:
                continue
            if code != Code.unstable_offset_commit:
                cluster.forget_coordinator(CoordinatorOf.GROUP, group)
            raise failure(code, Request.OTHER, f"the offsets of group {group}")
        return {
            int(one.partition_index): None if int(one.committed_offset) == _NOT_SET else int(one.committed_offset)
            for one in found
        }

    return await ask_again(ask, STABLE_MS, f"the stable offsets of group {group}")


async def tell_offsets(cluster: Cluster, group: str, positions: Mapping[TopicPartition, int]) -> None:
    """OffsetCommit of a reader without membership: generation -1 and no member id, which only an idle group takes."""
    request = OffsetCommitRequest(
        group_id=GroupId(group),
        generation_id_or_member_epoch=i32(-1),
        member_id="",
        topics=tuple(
            OffsetCommitRequestTopic(
                name=TopicName(topic),
                partitions=tuple(
                    OffsetCommitRequestPartition(
                        partition_index=partition_index(one),
                        committed_offset=i64(positions[one]),
                        committed_metadata="",
                    )
                    for one in several
                ),
            )
            for topic, several in by_topic(list(positions)).items()
        ),
    )
    answer = await cluster.call_coordinator(CoordinatorOf.GROUP, group, request, OffsetCommitResponse)
    for one in (one for topic in answer.topics for one in topic.partitions):
        if one.error_code != Code.none:
            cluster.forget_coordinator(CoordinatorOf.GROUP, group)
            raise failure(one.error_code, Request.OFFSET_COMMIT, f"the offsets of group {group}")


async def log_starts(cluster: Cluster, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    return await _list_offsets(cluster, partitions, _EARLIEST)


async def high_watermarks(cluster: Cluster, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    return await _list_offsets(cluster, partitions, _LATEST)


async def _list_offsets(
    cluster: Cluster, partitions: Sequence[TopicPartition], timestamp: i64
) -> dict[TopicPartition, int]:
    def question(led: Sequence[TopicPartition]) -> ListOffsetsRequest:
        return ListOffsetsRequest(
            replica_id=BrokerId(-1),
            isolation_level=i8(0),  # the high watermark; 1 would be the last stable offset
            topics=tuple(
                ListOffsetsTopic(
                    name=TopicName(name),
                    partitions=tuple(
                        ListOffsetsPartition(partition_index=partition_index(one), timestamp=timestamp)
                        for one in several
                    ),
                )
                for name, several in by_topic(led).items()
            ),
        )

    return await ask_leaders(cluster, partitions, question, ListOffsetsResponse, _offsets, about="the offsets")


def _offsets(answer: ListOffsetsResponse) -> Iterator[tuple[TopicPartition, Code, int]]:
    for topic in answer.topics:
        for one in topic.partitions:
            yield TopicPartition(str(topic.name), int(one.partition_index)), one.error_code, int(one.offset)
