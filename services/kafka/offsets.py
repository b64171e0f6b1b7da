"""Questions about offsets: the group's stable ones, the log's start and end.

Units:   offsets count records of one partition; milliseconds.
Errors:  Retriable when no answer came in time; Fatal for an unknown topic that stays unknown, or a refusal.
"""

from collections.abc import Sequence
from typing import Final

from kio.schema.list_offsets.v7 import ListOffsetsRequest, ListOffsetsResponse
from kio.schema.list_offsets.v7.request import ListOffsetsPartition, ListOffsetsTopic
from kio.schema.offset_fetch.v9 import OffsetFetchRequest, OffsetFetchResponse
from kio.schema.offset_fetch.v9.request import OffsetFetchRequestGroup, OffsetFetchRequestTopics
from kio.schema.types import BrokerId, GroupId, TopicName
from kio.static.primitive import i8, i32, i64

from services.kafka.cluster import ASKING_MS, Cluster, CoordinatorOf, Lane, partition_index
from services.kafka.codes import Code, Kind, Request, failure, kind
from services.kafka.errors import Indefinite, Retriable
from services.kafka.patience import ask_again
from services.kafka.port import TopicPartition

STABLE_MS: Final = 30_000  # an abandoned transaction lives for its time-out plus one scan of the broker
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


async def log_starts(cluster: Cluster, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    return await _list_offsets(cluster, partitions, _EARLIEST)


async def high_watermarks(cluster: Cluster, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    return await _list_offsets(cluster, partitions, _LATEST)


async def _list_offsets(
    cluster: Cluster, partitions: Sequence[TopicPartition], timestamp: i64
) -> dict[TopicPartition, int]:
    missing = list(dict.fromkeys(partitions))
    found: dict[TopicPartition, int] = {}

    async def ask() -> None:
        trouble: Retriable | Indefinite | None = None
        for leader, led in (await cluster.leaders(missing)).items():
            try:
                answer = await cluster.call(leader, Lane.QUESTIONS, _request(led, timestamp), ListOffsetsResponse)
            except (Retriable, Indefinite) as error:
                cluster.forget_leaders(led)
                trouble = error
                continue
            for topic in answer.topics:
                for one in topic.partitions:
                    where = TopicPartition(str(topic.name), int(one.partition_index))
                    if one.error_code == Code.none:
                        found[where] = int(one.offset)
                        missing.remove(where)
                        continue
                    refusal = failure(one.error_code, Request.OTHER, f"the offsets of {where.topic} {where.partition}")
                    if kind(one.error_code) is not Kind.RETRIABLE:
                        raise refusal
                    cluster.forget_leaders((where,))
                    assert isinstance(refusal, Retriable)
                    trouble = refusal
        if trouble is not None:
            raise trouble

    await ask_again(ask, ASKING_MS, "the offsets of the log")
    return found


def _request(partitions: Sequence[TopicPartition], timestamp: i64) -> ListOffsetsRequest:
    by_topic: dict[str, list[ListOffsetsPartition]] = {}
    for one in partitions:
        by_topic.setdefault(one.topic, []).append(
            ListOffsetsPartition(partition_index=partition_index(one), timestamp=timestamp)
        )
    return ListOffsetsRequest(
        replica_id=BrokerId(-1),
        isolation_level=i8(0),  # the high watermark; 1 would be the last stable offset
        topics=tuple(
            ListOffsetsTopic(name=TopicName(name), partitions=tuple(several)) for name, several in by_topic.items()
        ),
    )
