"""What aiokafka does not offer a group member: LeaveGroup for another, Heartbeat with given values."""

from kio.schema.heartbeat.v4 import HeartbeatRequest, HeartbeatResponse
from kio.schema.leave_group.v5 import LeaveGroupRequest, LeaveGroupResponse
from kio.schema.leave_group.v5.request import MemberIdentity
from kio.schema.types import GroupId
from kio.static.primitive import i32

from services.kafka.cluster import ASKING_MS, Cluster, CoordinatorOf
from services.kafka.codes import Code, Kind, Request, failure, kind
from services.kafka.patience import ask_again
from services.kafka.port import Assignment


async def evict(cluster: Cluster, group: str, member_id: str) -> None:
    """Take a member out of its group; one that the group does not know is fine."""
    request = LeaveGroupRequest(
        group_id=GroupId(group), members=(MemberIdentity(member_id=member_id, reason="succeeded"),)
    )

    async def ask() -> None:
        answer = await cluster.call_coordinator(CoordinatorOf.GROUP, group, request, LeaveGroupResponse)
        for code in (answer.error_code, *(member.error_code for member in answer.members)):
            if code not in (Code.none, Code.unknown_member_id):
                cluster.forget_coordinator(CoordinatorOf.GROUP, group)
                raise failure(code, Request.OTHER, f"the eviction of {member_id} from {group}")

    await ask_again(ask, ASKING_MS, f"group {group}")


async def is_member(cluster: Cluster, group: str, member: Assignment) -> bool:
    """Whether the group is stable in this very generation and knows this member: a Heartbeat answered 0."""
    request = HeartbeatRequest(
        group_id=GroupId(group), generation_id=i32(member.generation), member_id=member.member_id
    )

    async def ask() -> bool:
        answer = await cluster.call_coordinator(CoordinatorOf.GROUP, group, request, HeartbeatResponse)
        code = answer.error_code
        if code == Code.none:
            return True
        if code == Code.rebalance_in_progress or kind(code) is Kind.ABORTABLE:
            return False
        cluster.forget_coordinator(CoordinatorOf.GROUP, group)
        raise failure(code, Request.OTHER, f"the heartbeat of {member.member_id} in {group}")

    return await ask_again(ask, ASKING_MS, f"group {group}")
