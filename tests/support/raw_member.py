"""A group member whose every step a test takes by itself, to hold a rebalance where it wants it.

In:      a cluster, a group, a topic.
Out:     JoinGroup, SyncGroup and Heartbeat, one by one; as the leader it decides who gets what.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import timedelta

from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocol
from kio.schema.heartbeat.v4 import HeartbeatRequest, HeartbeatResponse
from kio.schema.join_group.v9 import JoinGroupRequest, JoinGroupResponse
from kio.schema.join_group.v9.request import JoinGroupRequestProtocol
from kio.schema.sync_group.v5 import SyncGroupRequest, SyncGroupResponse
from kio.schema.sync_group.v5.request import SyncGroupRequestAssignment
from kio.schema.types import GroupId
from kio.static.primitive import i32, i32Timedelta

from services.kafka.cluster import Cluster, CoordinatorOf
from services.kafka.codes import Code, Request, failure
from services.kafka.patience import ask_again
from services.kafka.port import Assignment

_SESSION = i32Timedelta.parse(timedelta(seconds=6))
_REBALANCE = i32Timedelta.parse(timedelta(seconds=20))
_HEARTBEAT_S = 0.3


class RawMember:
    def __init__(self, cluster: Cluster, heart: Cluster, group: str, topic: str) -> None:
        self._cluster = cluster
        self._heart = heart  # JoinGroup occupies its connection until the last member has joined
        self._group = group
        self._topic = topic
        self._beating: asyncio.Task[None] | None = None
        self.member_id = ""
        self.generation = -1
        self.members: list[str] = []

    @property
    def others(self) -> list[str]:
        return [one for one in self.members if one != self.member_id]

    def as_assignment(self, *partitions: int) -> Assignment:
        return Assignment(self.member_id, self.generation, frozenset(partitions))

    async def join(self) -> None:
        """Answered when every member has joined; the first member of a group leads it."""
        metadata = StickyPartitionAssignor.metadata([self._topic]).encode()

        async def ask() -> JoinGroupResponse:
            request = JoinGroupRequest(
                group_id=GroupId(self._group),
                session_timeout=_SESSION,
                rebalance_timeout=_REBALANCE,
                member_id=self.member_id,
                protocol_type="consumer",
                protocols=(JoinGroupRequestProtocol(name=StickyPartitionAssignor.name, metadata=metadata),),
            )
            answer = await self._cluster.call_coordinator(CoordinatorOf.GROUP, self._group, request, JoinGroupResponse)
            if answer.error_code == Code.member_id_required:
                self.member_id = answer.member_id
                return await ask()
            if answer.error_code != Code.none:  # a coordinator that is only just getting ready
                self._cluster.forget_coordinator(CoordinatorOf.GROUP, self._group)
                raise failure(answer.error_code, Request.OTHER, self._group)
            return answer

        answer = await ask_again(ask, 20_000, "JoinGroup")
        self.member_id, self.generation = answer.member_id, int(answer.generation_id)
        self.members = [one.member_id for one in answer.members]

    async def sync(self, shares: Mapping[str, Sequence[int]]) -> None:
        """Say who gets what; answered with one's own share, which the caller knows."""
        request = SyncGroupRequest(
            group_id=GroupId(self._group),
            generation_id=i32(self.generation),
            member_id=self.member_id,
            protocol_type="consumer",
            protocol_name=StickyPartitionAssignor.name,
            assignments=tuple(
                SyncGroupRequestAssignment(
                    member_id=member,
                    assignment=ConsumerProtocol.ASSIGNMENT(
                        0, [(self._topic, list(partitions))] if partitions else [], b""
                    ).encode(),
                )
                for member, partitions in shares.items()
            ),
        )
        answer = await self._cluster.call_coordinator(CoordinatorOf.GROUP, self._group, request, SyncGroupResponse)
        assert answer.error_code == Code.none, answer.error_code

    async def heartbeat(self) -> int:
        request = HeartbeatRequest(
            group_id=GroupId(self._group), generation_id=i32(self.generation), member_id=self.member_id
        )
        answer = await self._heart.call_coordinator(CoordinatorOf.GROUP, self._group, request, HeartbeatResponse)
        return int(answer.error_code)

    def keep_beating(self) -> None:
        async def beat() -> None:
            while True:
                await asyncio.sleep(_HEARTBEAT_S)
                await self.heartbeat()

        self._beating = asyncio.create_task(beat())

    async def close(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beating
        self._cluster.close()
        self._heart.close()
