"""The transactional writer on a real Kafka while a proxy loses, delays and repeats single requests and answers."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kafka.errors import Abortable, Fenced, Indefinite
from services.kafka.port import Assignment, Scope, TopicPartition, Writer
from simulator.proxy.kafka import Act, Rule
from tests.support.log_worlds import KafkaWorld, ProxiedBroker, kafka_world, records, transact

WRITER = "payonce-test-writer"
REFUSED_LATE = {47, 48, 90}  # a stale epoch, nothing open, fenced


@pytest.fixture
async def world(namespace: str, proxied_kafka: ProxiedBroker) -> AsyncIterator[KafkaWorld]:
    async with kafka_world(namespace, proxied_kafka) as made:
        yield made


@pytest.fixture
def out(world: KafkaWorld) -> TopicPartition:
    return TopicPartition(world.out, 0)


@pytest.fixture
async def member(world: KafkaWorld) -> Assignment:
    return (await world.member())[1]


@pytest.mark.parametrize("act", [Act.LOSE_REQUEST, Act.LOSE_ANSWER, Act.REPEAT_REQUEST, Act.DELAY_ANSWER])
@pytest.mark.parametrize("request_name", ["Produce", "TxnOffsetCommit", "FindCoordinator", "InitProducerId"])
async def test_one_troubled_request_changes_nothing(
    world: KafkaWorld, out: TopicPartition, member: Assignment, request_name: str, act: Act
) -> None:
    """A lost, delayed or repeated request before the end leaves one transaction, whole and in order."""
    if (request_name, act) == ("InitProducerId", Act.REPEAT_REQUEST):
        act = Act.DELAY_REQUEST  # a repeated start is a take-over: the next test
    rule = world.proxy.add(Rule(act, request_name, WRITER, delay_ms=300))
    writer = await world.writer()
    await transact(writer, world, member, {out: records("1", "2")}, {0: 1})
    await transact(writer, world, member, {out: records("3")}, {0: 2})
    assert rule.bitten.is_set()
    assert await world.values(out) == [b"1", b"2", b"3"]
    assert await (await world.log()).stable_offsets(world.group, world.commands, [0]) == {0: 2}


async def test_a_repeated_start_is_a_take_over(world: KafkaWorld, out: TopicPartition, member: Assignment) -> None:
    """A copy of our own plain InitProducerId cannot be told from a successor's, so nothing is committed after it."""
    rule = world.proxy.add(Rule(Act.REPEAT_REQUEST, "InitProducerId", WRITER))
    writer = await world.writer()
    await asyncio.wait_for(rule.bitten.wait(), 10)
    with pytest.raises(Abortable):
        await writer.produce({out: records("1")})
    with pytest.raises(Fenced):
        await writer.recover()
    assert await world.values(out) == []


@pytest.mark.parametrize("request_name", ["Produce", "TxnOffsetCommit"])
async def test_silence_is_not_endless(
    world: KafkaWorld, out: TopicPartition, member: Assignment, request_name: str
) -> None:
    """An answer that never comes on a connection that stays open is asked for again after the request time-out."""
    writer = await world.writer()
    rule = world.proxy.add(Rule(Act.LOSE_ANSWER, request_name, WRITER, cut=False))
    await transact(writer, world, member, {out: records("1")}, {0: 1})
    assert rule.bitten.is_set()
    assert await world.values(out) == [b"1"]


async def test_a_repeated_end_is_refused(world: KafkaWorld, out: TopicPartition, member: Assignment) -> None:
    """A second copy of an EndTxn that was done changes nothing, and the writer goes on."""
    writer = await world.writer()
    rule = world.proxy.add(Rule(Act.REPEAT_REQUEST, "EndTxn", WRITER))
    await transact(writer, world, member, {out: records("1")}, {0: 1})
    await asyncio.wait_for(rule.bitten.wait(), 10)
    await transact(writer, world, member, {out: records("2")}, {0: 2})
    assert await world.values(out) == [b"1", b"2"]


@pytest.mark.parametrize("committed", [True, False])
async def test_a_late_end_is_refused_and_noticed(
    world: KafkaWorld, out: TopicPartition, member: Assignment, committed: bool
) -> None:
    """An EndTxn that arrives during the next transaction is refused by the broker; its sender had been told nothing."""
    writer = await world.writer()
    await begin(writer, world, out, member, "first", 1)
    late = world.proxy.add(Rule(Act.HOLD_REQUEST, "EndTxn", WRITER))
    if committed:
        with pytest.raises(Indefinite):
            await writer.commit()
        await writer.recover()
    else:
        await writer.abort()  # recovers by itself: nothing of an abort needs to be told
    await begin(writer, world, out, member, "second", 2)
    (answer,) = await world.proxy.release(late)
    assert int(answer.error_code) in REFUSED_LATE  # type: ignore[attr-defined]  # an EndTxnResponse
    assert await (await world.log()).high_watermarks([out]) == {out: 3}  # first, its abort marker, second: still open
    await writer.commit()
    assert await world.values(out) == [b"second"]


@pytest.mark.parametrize("request_name", ["Produce", "TxnOffsetCommit"])
async def test_a_late_copy_never_joins_the_next_transaction(
    world: KafkaWorld, out: TopicPartition, member: Assignment, request_name: str
) -> None:
    """Records or offsets that were held up in the network for a whole transaction are refused when they arrive."""
    writer = await world.writer()
    late = world.proxy.add(Rule(Act.HOLD_REQUEST, request_name, WRITER))
    await transact(writer, world, member, {out: records("1")}, {0: 1})
    await begin(writer, world, out, member, "2", 2)
    (answer,) = await world.proxy.release(late)
    codes = _codes(answer)
    assert codes, answer
    assert 0 not in codes, "the late copy was taken"
    await writer.commit()
    assert await world.values(out) == [b"1", b"2"]
    assert await (await world.log()).stable_offsets(world.group, world.commands, [0]) == {0: 2}


async def test_a_commit_that_is_only_slow_is_a_commit(
    world: KafkaWorld, out: TopicPartition, member: Assignment
) -> None:
    """An answer within the request time-out is waited for."""
    writer = await world.writer()
    await begin(writer, world, out, member, "1", 1)
    world.proxy.add(Rule(Act.DELAY_ANSWER, "EndTxn", WRITER, delay_ms=700))
    await writer.commit()
    assert await world.values(out) == [b"1"]


async def test_a_commit_that_is_too_slow_is_indefinite(
    world: KafkaWorld, out: TopicPartition, member: Assignment
) -> None:
    """Silence after an EndTxn is not taken for either outcome; recovery and the log tell."""
    writer = await world.writer()
    await begin(writer, world, out, member, "1", 1)
    world.proxy.add(Rule(Act.LOSE_ANSWER, "EndTxn", WRITER, cut=False))
    with pytest.raises(Indefinite):
        await writer.commit()
    await writer.abort()  # as a caller that knows nothing better may say: it recovers
    assert await world.values(out) == [b"1"]


async def test_recovery_may_be_lost_too(world: KafkaWorld, out: TopicPartition, member: Assignment) -> None:
    """An InitProducerId whose answer is lost is asked again, and is not taken for a successor's."""
    writer = await world.writer()
    await begin(writer, world, out, member, "1", 1)
    world.proxy.add(Rule(Act.LOSE_REQUEST, "EndTxn", WRITER))
    with pytest.raises(Indefinite):
        await writer.commit()
    world.proxy.add(Rule(Act.LOSE_ANSWER, "InitProducerId", WRITER, times=2))
    await writer.recover()
    await transact(writer, world, member, {out: records("2")}, {0: 1})
    assert await world.values(out) == [b"2"]


async def test_a_zombie_learns_that_it_was_succeeded(
    world: KafkaWorld, out: TopicPartition, member: Assignment
) -> None:
    """A writer cut off from Kafka while a successor takes its identity harms nothing, and ends as fenced."""
    zombie = await (await world.log("zombie")).writer(
        f"{world.namespace}.same", 10_000, Scope((world.out,), world.group)
    )
    await zombie.start()
    await begin(zombie, world, out, member, "of the zombie", 1)
    world.proxy.cut_off("zombie")
    successor = await world.writer("same")
    await transact(successor, world, member, {out: records("of the successor")}, {0: 1})
    world.proxy.heal("zombie")
    with pytest.raises((Indefinite, Abortable)):
        await zombie.commit()
    with pytest.raises(Fenced):
        await zombie.recover()
    await zombie.close()
    assert await world.values(out) == [b"of the successor"]


async def test_a_cancelled_step_must_be_aborted(world: KafkaWorld, out: TopicPartition, member: Assignment) -> None:
    """After a cancellation nobody can commit what may be half there; an abort makes the writer good again."""
    writer = await world.writer()
    world.proxy.add(Rule(Act.DELAY_ANSWER, "Produce", WRITER, delay_ms=1_000))
    producing = asyncio.ensure_future(writer.produce({out: records("half")}))
    await asyncio.sleep(0.2)
    producing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await producing
    with pytest.raises(Abortable):
        await writer.send_offsets(world.group, world.commands, {0: 1}, member)
    with pytest.raises(Abortable):
        await writer.commit()
    await writer.abort()
    await transact(writer, world, member, {out: records("whole")}, {0: 1})
    assert await world.values(out) == [b"whole"]


async def begin(
    writer: Writer, world: KafkaWorld, out: TopicPartition, member: Assignment, value: str, offset: int
) -> None:
    """A transaction that wants nothing but its end."""
    await writer.produce({out: records(value)})
    await writer.send_offsets(world.group, world.commands, {0: offset}, member)


def _codes(answer: object) -> set[int]:
    """Every error number in a Produce or TxnOffsetCommit response."""
    topics = getattr(answer, "responses", None) or getattr(answer, "topics", ())
    partitions = [one for topic in topics for one in getattr(topic, "partition_responses", None) or topic.partitions]
    return {int(one.error_code) for one in partitions}


@pytest.mark.parametrize("lost", [("EndTxn",), ("EndTxn", "InitProducerId")])
async def test_a_coordinator_that_forgot_the_last_epoch_fences_nobody(
    world: KafkaWorld, out: TopicPartition, member: Assignment, proxied_kafka: ProxiedBroker, lost: tuple[str, ...]
) -> None:
    """An answer lost, then the broker killed: the new one knows the epoch we never heard of, and no other."""
    writer = await world.writer()
    await transact(writer, world, member, {out: records("1")}, {0: 1})
    world.proxy.add(Rule(Act.LOSE_ANSWER, "EndTxn", WRITER))
    with pytest.raises(Indefinite):
        await transact(writer, world, member, {out: records("2")}, {0: 2})
    recovering = None
    if "InitProducerId" in lost:
        rule = world.proxy.add(Rule(Act.LOSE_ANSWER, "InitProducerId", WRITER))
        recovering = asyncio.create_task(writer.recover())
        await asyncio.wait_for(rule.bitten.wait(), 10)
    proxied_kafka.broker.kill()
    await asyncio.to_thread(proxied_kafka.broker.restart)
    await (recovering or writer.recover())
    assert await world.values(out) == [b"1", b"2"]
