"""The races of a rebalance on a real Kafka, each held where it hurts: stale and missed generations.

Without the rules that these tests hold, each of them made a command execute twice.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kafka.cluster import Cluster
from services.kafka.errors import NotMember, StaleGeneration
from services.kafka.group import is_member
from services.kafka.kafka_log import KafkaLog
from services.kafka.membership import KafkaMembership
from services.kafka.port import Assignment, TopicPartition
from services.processor.holding import kept
from simulator.proxy.kafka import Act, Rule
from tests.support.log_worlds import KafkaWorld, ProxiedBroker, assigned, kafka_world, records
from tests.support.raw_member import RawMember
from tests.support.wait import wait_until

MEMBER = "racer-member"


@pytest.fixture
async def world(namespace: str, proxied_kafka: ProxiedBroker) -> AsyncIterator[KafkaWorld]:
    async with kafka_world(namespace, proxied_kafka) as made:
        yield made


@pytest.fixture
def out(world: KafkaWorld) -> TopicPartition:
    return TopicPartition(world.out, 3)


@pytest.fixture
async def log(world: KafkaWorld) -> KafkaLog:
    return await world.log("racer")


@pytest.fixture
async def leader(world: KafkaWorld) -> AsyncIterator[RawMember]:
    """A member that leads the group and owns everything in its first generation."""
    made = RawMember(another(world), another(world), world.group, world.commands)
    await made.join()
    await made.sync({made.member_id: range(4)})
    made.keep_beating()
    yield made
    await made.close()


@pytest.fixture
async def racer(world: KafkaWorld, log: KafkaLog, leader: RawMember) -> AsyncIterator[KafkaMembership]:
    """Our membership, which the leader gives partitions 2 and 3."""
    made = await log.membership(world.group, world.commands, 6_000)
    joining = asyncio.ensure_future(made.start(None))
    await rebalance(leader, others=1)
    await leader.sync({leader.member_id: [0, 1], leader.others[0]: [2, 3]})
    await joining
    assert (await assigned(made)).partitions == {2, 3}
    yield made
    await made.close()


async def test_a_stale_owner_cannot_commit(
    world: KafkaWorld, log: KafkaLog, leader: RawMember, racer: KafkaMembership, out: TopicPartition
) -> None:
    """Offsets captured at assignment are good until the next generation begins, and refused from then on."""
    captured = await assigned(racer)
    await commits(world, out, captured)  # stable
    await leader.join()
    with pytest.raises(StaleGeneration):  # the new generation has begun; nobody knows the shares yet
        await commits(world, out, captured)
    assert not await racer.confirm(captured)
    await leader.sync({leader.member_id: range(4), leader.others[0]: []})
    after = await assigned(racer, than=captured)
    assert after.partitions == frozenset()
    with pytest.raises(StaleGeneration):
        await commits(world, out, captured)
    assert await racer.confirm(after)
    assert not await racer.confirm(captured)


async def test_a_rebalance_in_preparation_stops_nobody(
    world: KafkaWorld, log: KafkaLog, leader: RawMember, racer: KafkaMembership, out: TopicPartition
) -> None:
    """As long as one member has not joined again, everybody else's offsets are good, and refused as soon as it has."""
    captured = await assigned(racer)
    newcomer = RawMember(another(world), another(world), world.group, world.commands)
    joining = asyncio.ensure_future(newcomer.join())
    await wait_until(lambda: racer._rejoining, timeout_s=10, message="the racer did not notice the rebalance")
    assert not joining.done()
    assert racer.current == captured
    await commits(world, out, captured)
    await asyncio.gather(leader.join(), joining)
    with pytest.raises(StaleGeneration):
        await commits(world, out, captured)
    await newcomer.close()


async def test_the_live_generation_is_not_to_be_trusted(
    world: KafkaWorld, log: KafkaLog, leader: RawMember, racer: KafkaMembership, out: TopicPartition
) -> None:
    """aiokafka's generation moves before the shares are known: a former owner could commit by it, and not by ours."""
    captured = await assigned(racer)
    await leader.join()
    live = racer._consumer._coordinator
    await wait_until(
        lambda: live.generation > captured.generation, timeout_s=10, message="the racer did not join again"
    )
    assert racer.current == captured, "an assignment before the shares are known"
    await commits(world, out, Assignment(live.member_id, live.generation, frozenset()))  # so it would be accepted
    with pytest.raises(StaleGeneration):
        await commits(world, out, captured)
    await leader.sync({leader.member_id: range(4), leader.others[0]: []})


async def test_a_missed_generation_is_not_a_kept_partition(
    world: KafkaWorld, log: KafkaLog, leader: RawMember, racer: KafkaMembership, out: TopicPartition
) -> None:
    """A member that sees the same share again, but missed a generation in between, has kept nothing."""
    before = await assigned(racer)
    # The racer's SyncGroup of the next generation is slow, so that it never learns what it had there.
    world.proxy.add(Rule(Act.DELAY_REQUEST, "SyncGroup", MEMBER, delay_ms=1_500))
    await leader.join()
    await leader.sync({leader.member_id: range(4), leader.others[0]: []})
    await commits(world, out, leader.as_assignment(0, 1, 2, 3))  # the leader executes what was the racer's
    await leader.join()
    await leader.sync({leader.member_id: [0, 1], leader.others[0]: [2, 3]})
    after = await assigned(racer, than=before)
    assert after.partitions == before.partitions
    assert after.member_id == before.member_id
    assert after.generation == before.generation + 2
    assert kept(before, after, before.partitions) == frozenset()
    with pytest.raises(StaleGeneration):
        await commits(world, out, before)


async def test_an_evicted_member_is_told(
    world: KafkaWorld, log: KafkaLog, leader: RawMember, racer: KafkaMembership, out: TopicPartition
) -> None:
    """Whoever a successor evicted cannot commit, and knows that it is no member."""
    captured = await assigned(racer)
    successor = await (await world.log("successor")).membership(world.group, world.commands, 6_000)
    joining = asyncio.ensure_future(successor.start(captured.member_id))
    await rebalance(leader, others=2, without=captured.member_id)  # the evicted one comes back under a new name
    with pytest.raises(NotMember):
        await commits(world, out, captured)
    assert not await racer.confirm(captured)
    await leader.sync({leader.member_id: [0, 1], **{one: [2 + at] for at, one in enumerate(leader.others)}})
    await joining
    assert (await assigned(racer, than=captured)).member_id != captured.member_id
    await successor.close()


async def test_a_heartbeat_alone_does_not_confirm(
    world: KafkaWorld, log: KafkaLog, leader: RawMember, racer: KafkaMembership
) -> None:
    """A Heartbeat under the new generation is answered 0 while its shares are unknown; the listener must confirm."""
    captured = await assigned(racer)
    await leader.join()
    live = racer._consumer._coordinator
    await wait_until(
        lambda: live.generation > captured.generation, timeout_s=10, message="the racer did not join again"
    )
    early = Assignment(live.member_id, live.generation, captured.partitions)
    assert await is_member(log.cluster, world.group, early)
    assert not await racer.confirm(early)
    await leader.sync({leader.member_id: [0, 1], leader.others[0]: [2, 3]})
    after = await assigned(racer, than=captured)
    assert await racer.confirm(after)
    assert kept(captured, after, captured.partitions) == {2, 3}


async def commits(world: KafkaWorld, out: TopicPartition, member: Assignment) -> None:
    """A whole transaction under these member data; raises as its TxnOffsetCommit does."""
    writer = await world.writer()
    try:
        await writer.produce({out: records("x")})
        await writer.send_offsets(world.group, world.commands, {3: 1}, member)
        await writer.commit()
    finally:
        await writer.abort()


async def rebalance(leader: RawMember, *, others: int, without: str = "") -> None:
    """Join again until so many others are in the group, and a certain one is not."""

    async def done() -> bool:
        await leader.join()
        return len(leader.others) == others and without not in leader.others

    await wait_until(done, timeout_s=15, message=lambda: f"the group has {leader.members}")


def another(world: KafkaWorld) -> Cluster:
    return Cluster(world.proxied_connection, "leader", 30_000)
