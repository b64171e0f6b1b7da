"""What the port to the log promises, in memory and on a real Kafka: the same tests for both.

Long, and one idea: a port is as good as the list of its promises, and a list in pieces is read by nobody.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.kafka.errors import (
    Abortable,
    Fenced,
    Indefinite,
    NotMember,
    OffsetOutOfRange,
    StaleGeneration,
)
from services.kafka.patience import ask_again
from services.kafka.port import Assignment, Outgoing, TopicPartition, Writer
from tests.support.log_worlds import World, assigned, kafka_world, memory_world, records, transact

REFUSED_LATE = {47, 48, 90}  # a stale epoch, nothing open, fenced


@pytest.fixture(params=["memory", "kafka"])
async def world(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[World]:
    if request.param == "memory":
        async with memory_world(namespace) as made:
            yield made
    else:
        async with kafka_world(namespace, request.getfixturevalue("proxied_kafka")) as made:
            yield made


@pytest.fixture
def out(world: World) -> TopicPartition:
    return TopicPartition(world.out, 0)


async def test_committed_records_are_read_in_order(world: World, out: TopicPartition) -> None:
    """What a transaction appended is read in its order, keys, tombstones and headers included."""
    _, member = await world.member()
    writer = await world.writer()
    sent = [
        Outgoing(b"a", b"1", [("h", b"x"), ("h", b"y")]),
        Outgoing(b"b", None),
        Outgoing(None, b"3"),
    ]
    base = await transact(writer, world, member, {out: sent}, {0: 1})
    found = await world.read_all(out)
    assert base == {out: 0}
    assert [(one.key, one.value) for one in found] == [(b"a", b"1"), (b"b", None), (None, b"3")]
    assert [tuple(one.headers) for one in found] == [(("h", b"x"), ("h", b"y")), (), ()]


async def test_an_open_transaction_is_not_read(world: World, out: TopicPartition) -> None:
    """A committed reader stops at the last stable offset; the high watermark is beyond it."""
    _, member = await world.member()
    writer = await world.writer()
    await writer.produce({out: records("open")})
    committed, uncommitted = await world.reader(), await world.reader(committed=False)
    committed.assign({out: 0})
    uncommitted.assign({out: 0})
    assert [one.value for one in (await uncommitted.fetch(5_000))[out]] == [b"open"]
    waiting = asyncio.ensure_future(committed.fetch(5_000))
    log = await world.log()
    assert await log.high_watermarks([out]) == {out: 1}
    assert committed.position(out) == 0
    await writer.send_offsets(world.group, world.commands, {0: 1}, member)
    assert not waiting.done()
    await writer.commit()
    assert [one.value for one in (await waiting)[out]] == [b"open"]


async def test_markers_leave_gaps_that_a_position_passes(world: World, out: TopicPartition) -> None:
    """Offsets have a gap where a transaction ended, and a position reaches the high watermark all the same."""
    _, member = await world.member()
    writer = await world.writer()
    await transact(writer, world, member, {out: records("1", "2")}, {0: 1})
    base = await transact(writer, world, member, {out: records("3")}, {0: 2})
    assert base == {out: 3}
    assert [one.offset for one in await world.read_all(out)] == [0, 1, 3]
    assert await (await world.log()).high_watermarks([out]) == {out: 5}


async def test_aborted_records_are_never_read(world: World, out: TopicPartition) -> None:
    """An abort hides its records and its offsets; the position passes them."""
    _, member = await world.member()
    writer = await world.writer()
    await writer.produce({out: records("aborted")})
    await writer.send_offsets(world.group, world.commands, {0: 7}, member)
    await writer.abort()
    assert await world.values(out) == []
    log = await world.log()
    assert await log.stable_offsets(world.group, world.commands, [0, 1]) == {0: None, 1: None}
    await transact(writer, world, member, {out: records("kept")}, {0: 1})
    assert await world.values(out) == [b"kept"]


async def test_a_fetch_of_aborted_records_alone_says_so_at_once(world: World, out: TopicPartition) -> None:
    """A fetch does not wait for its limit once a position has moved past an aborted tail."""
    writer = await world.writer()
    await writer.produce({out: records("aborted")})
    await writer.abort()
    reader = await world.reader()
    reader.assign({out: 0})
    async with asyncio.timeout(5):
        while reader.position(out) < 2:
            assert await reader.fetch(60_000) == {}


async def test_offsets_and_records_move_together(world: World, out: TopicPartition) -> None:
    """The group's offsets are those of the committed transaction, in every partition it named."""
    _, member = await world.member()
    writer = await world.writer()
    await transact(writer, world, member, {out: records("1")}, {0: 5, 2: 9})
    log = await world.log()
    assert await log.stable_offsets(world.group, world.commands, [0, 1, 2]) == {0: 5, 1: None, 2: 9}


async def test_told_offsets_are_seen(world: World, out: TopicPartition) -> None:
    """A reader without membership tells how far it is, in several topics at once, under a group of its own."""
    log = await world.log()
    group = f"{world.group}-told"
    told = {TopicPartition(world.commands, 0): 3, TopicPartition(world.commands, 1): 0, out: 2}
    async with asyncio.timeout(10):
        await ask_again(lambda: log.tell_offsets(group, told), 10_000, "a new group's coordinator")
    assert await log.stable_offsets(group, world.commands, [0, 1]) == {0: 3, 1: 0}
    assert await log.stable_offsets(group, out.topic, [out.partition]) == {out.partition: 2}
    assert await log.stable_offsets(world.group, world.commands, [0]) == {0: None}


async def test_stable_offsets_wait_for_an_open_transaction(world: World, out: TopicPartition) -> None:
    """A take-over learns the group's offset only when no open transaction carries it any more."""
    _, member = await world.member()
    writer = await world.writer()
    await writer.produce({out: records("1")})
    await writer.send_offsets(world.group, world.commands, {0: 5}, member)
    log = await world.log()
    asked = asyncio.ensure_future(log.stable_offsets(world.group, world.commands, [0]))
    assert await log.stable_offsets(world.group, world.commands, [1]) == {1: None}
    assert not asked.done()
    await writer.commit()
    async with asyncio.timeout(10):
        assert await asked == {0: 5}


async def test_a_successor_fences_its_predecessor(world: World, out: TopicPartition) -> None:
    """Whoever starts with the same identity aborts what was open, and the other learns that it must exit."""
    _, member = await world.member()
    old = await world.writer("same")
    await old.produce({out: records("of the old")})
    new = await world.writer("same")
    with pytest.raises(Abortable):
        await old.produce({out: records("too late")})
    with pytest.raises(Fenced):
        await old.recover()
    with pytest.raises(Fenced):
        await old.abort()
    await transact(new, world, member, {out: records("of the new")}, {0: 1})
    assert await world.values(out) == [b"of the new"]


async def test_a_fenced_writer_cannot_commit(world: World, out: TopicPartition) -> None:
    """A commit after a successor has started is not a commit, and recovery says fenced."""
    _, member = await world.member()
    old = await world.writer("same")
    await old.produce({out: records("of the old")})
    await old.send_offsets(world.group, world.commands, {0: 1}, member)
    await world.writer("same")
    with pytest.raises((Abortable, Indefinite)):
        await old.commit()
    with pytest.raises(Fenced):
        await old.recover()
    assert await world.values(out) == []


async def test_a_lost_answer_to_a_commit_is_not_guessed(world: World, out: TopicPartition) -> None:
    """A commit whose answer is lost is indefinite; after recovery the log tells that it happened."""
    _, member = await world.member()
    writer = await world.writer()
    await writer.produce({out: records("1")})
    await writer.send_offsets(world.group, world.commands, {0: 1}, member)
    world.lose_next_end(answer_only=True)
    with pytest.raises(Indefinite):
        await writer.commit()
    with pytest.raises(Abortable):
        await writer.produce({out: records("before recovery")})
    await writer.recover()
    assert await world.values(out) == [b"1"]
    assert await (await world.log()).stable_offsets(world.group, world.commands, [0]) == {0: 1}
    await transact(writer, world, member, {out: records("2")}, {0: 2})
    assert await world.values(out) == [b"1", b"2"]


async def test_a_lost_commit_did_not_happen(world: World, out: TopicPartition) -> None:
    """A commit that never arrived is indefinite too; recovery ends the transaction without its records."""
    _, member = await world.member()
    writer = await world.writer()
    await writer.produce({out: records("1")})
    await writer.send_offsets(world.group, world.commands, {0: 1}, member)
    world.lose_next_end(answer_only=False)
    with pytest.raises(Indefinite):
        await writer.commit()
    await writer.recover()
    assert await world.values(out) == []
    assert await (await world.log()).stable_offsets(world.group, world.commands, [0]) == {0: None}


async def test_a_late_end_never_ends_the_next_transaction(world: World, out: TopicPartition) -> None:
    """An EndTxn that arrives while the next transaction is open is refused, and its sender had noticed."""
    _, member = await world.member()
    writer = await world.writer()
    await writer.produce({out: records("first")})
    await writer.send_offsets(world.group, world.commands, {0: 1}, member)
    world.hold_next_end()
    with pytest.raises(Indefinite):
        await writer.commit()
    await writer.recover()
    await writer.produce({out: records("second, half")})
    assert await world.release_end() in REFUSED_LATE
    reader = await world.reader()
    reader.assign({out: 0})
    await writer.produce({out: records("second, whole")})
    await writer.send_offsets(world.group, world.commands, {0: 2}, member)
    assert reader.position(out) < 3
    await writer.commit()
    assert await world.values(out) == [b"second, half", b"second, whole"]
    assert await (await world.log()).stable_offsets(world.group, world.commands, [0]) == {0: 2}


async def test_offsets_of_another_generation_are_refused(world: World, out: TopicPartition) -> None:
    """A generation that has passed, or is to come, cannot commit; the transaction can be aborted and the next works."""
    _, member = await world.member()
    writer = await world.writer()
    for generation in (member.generation - 1, member.generation + 1):
        await writer.produce({out: records("refused")})
        with pytest.raises(StaleGeneration):
            await send(writer, world, member._replace(generation=generation))
        with pytest.raises(Abortable):
            await writer.commit()
        await writer.abort()
    await transact(writer, world, member, {out: records("kept")}, {0: 1})
    assert await world.values(out) == [b"kept"]


async def test_offsets_of_a_stranger_are_refused(world: World, out: TopicPartition) -> None:
    """A member id that the group does not know cannot commit."""
    _, member = await world.member()
    writer = await world.writer()
    await writer.produce({out: records("refused")})
    with pytest.raises(NotMember):
        await send(writer, world, member._replace(member_id="nobody"))
    await writer.abort()
    assert await world.values(out) == []


@pytest.mark.parametrize(("member_id", "generation"), [("", -1), ("", 1), ("somebody", -1)])
async def test_offsets_without_a_member_are_refused_by_the_writer(
    world: World, out: TopicPartition, member_id: str, generation: int
) -> None:
    """An empty member id or a negative generation, which the broker takes as "do not check", is never sent."""
    writer = await world.writer()
    await writer.produce({out: records("refused")})
    with pytest.raises(StaleGeneration) as refused:
        await send(writer, world, Assignment(member_id, generation, frozenset()))
    assert refused.value.code is None
    await writer.abort()
    plain = await (await world.log()).plain_writer()
    with pytest.raises(StaleGeneration):
        await send(plain, world, Assignment(member_id, generation, frozenset()))
    await plain.close()


async def test_a_transaction_without_offsets_is_not_committed(world: World, out: TopicPartition) -> None:
    """Nothing is committed that the group's generation does not fence; nothing open is nothing to end."""
    writer = await world.writer()
    await writer.commit()
    await writer.abort()
    await writer.produce({out: records("refused")})
    with pytest.raises(AssertionError):
        await writer.commit()
    await writer.abort()
    assert await world.values(out) == []


async def test_a_transaction_that_timed_out_is_lost_but_not_fenced(world: World, out: TopicPartition) -> None:
    """A broker that aborted a slow transaction is told from a successor: the writer recovers and goes on."""
    _, member = await world.member()
    writer = await world.writer(transaction_timeout_ms=1_000)
    await writer.produce({out: records("slow")})
    await writer.send_offsets(world.group, world.commands, {0: 1}, member)
    log = await world.log()
    await world.pass_time(1_100)
    assert await log.stable_offsets(world.group, world.commands, [0]) == {0: None}
    with pytest.raises((Abortable, Indefinite)):
        await writer.commit()
    await writer.recover()
    await transact(writer, world, member, {out: records("quick")}, {0: 1})
    assert await world.values(out) == [b"quick"]


async def test_compaction_keeps_the_newest_record_and_the_end(world: World) -> None:
    """Old records and tombstones go, the newest of each key stays, and a position still reaches the end."""
    where = TopicPartition(world.compacted, 0)
    plain = await (await world.log()).plain_writer()
    await plain.produce({where: [Outgoing(b"kept", b"old"), Outgoing(b"gone", b"1"), Outgoing(b"kept", b"new")]})
    await plain.produce({where: [Outgoing(b"gone", None)]})
    await plain.close()
    await world.compact(where)
    found = [(one.key, one.value) for one in await world.read_all(where) if one.key != b"tick"]
    assert found == [(b"kept", b"new")]
    assert (await (await world.log()).high_watermarks([where]))[where] >= 4


async def test_a_position_that_is_not_on_the_log_is_a_decision(world: World, out: TopicPartition) -> None:
    """A reader beyond the end or before the start neither skips nor reads again: it raises."""
    plain = await (await world.log()).plain_writer()
    await plain.produce({out: records("1", "2", "3")})
    await plain.close()
    reader = await world.reader()
    reader.assign({out: 900})
    with pytest.raises(OffsetOutOfRange):
        await reader.fetch(5_000)
    await world.delete_before(out, 2)
    assert await (await world.log()).log_starts([out]) == {out: 2}
    reader.assign({out: 0})
    with pytest.raises(OffsetOutOfRange):
        await reader.fetch(5_000)
    reader.assign({out: 2})
    assert [one.value for one in (await reader.fetch(5_000))[out]] == [b"3"]


async def test_assign_reads_from_where_it_says(world: World, out: TopicPartition) -> None:
    """An assignment that keeps a partition begins where it says, and drops what it does not name."""
    other = TopicPartition(world.out, 1)
    plain = await (await world.log()).plain_writer()
    await plain.produce({out: records("1", "2", "3"), other: records("a", "b")})
    await plain.close()
    reader = await world.reader()
    reader.assign({out: 0})
    assert len((await reader.fetch(5_000))[out]) == 3
    reader.assign({out: 1, other: 1})
    found: dict[TopicPartition, list[bytes | None]] = {}
    async with asyncio.timeout(5):
        while len(found) < 2:
            for where, several in (await reader.fetch(1_000)).items():
                found[where] = [one.value for one in several]
    assert found == {out: [b"2", b"3"], other: [b"b"]}
    reader.assign({other: 0})
    assert {where: len(several) for where, several in (await reader.fetch(5_000)).items()} == {other: 2}


async def test_a_paused_partition_keeps_its_position(world: World, out: TopicPartition) -> None:
    """Nothing is fetched of a paused partition, and everything after it is resumed."""
    other = TopicPartition(world.out, 1)
    plain = await (await world.log()).plain_writer()
    reader = await world.reader()
    reader.assign({out: 0, other: 0})
    reader.pause([out])
    await plain.produce({out: records("1"), other: records("a")})
    await plain.close()
    assert set(await reader.fetch(5_000)) == {other}
    assert reader.position(out) == 0
    reader.resume([out])
    assert set(await reader.fetch(5_000)) == {out}


async def test_the_plain_writer_hides_nothing(world: World, out: TopicPartition) -> None:
    """Below exactly-once records are readable at once, offsets move at once, strangers are refused."""
    _, member = await world.member()
    plain = await (await world.log()).plain_writer()
    assert await plain.produce({out: records("1", "2")}) == {out: 0}
    assert await plain.produce({out: records("3")}) == {out: 2}
    await plain.abort()
    assert await world.values(out) == [b"1", b"2", b"3"]
    await send(plain, world, member)
    assert await (await world.log()).stable_offsets(world.group, world.commands, [0]) == {0: 1}
    with pytest.raises(NotMember):
        await send(plain, world, member._replace(member_id="nobody"))
    with pytest.raises(StaleGeneration):
        await send(plain, world, member._replace(generation=member.generation + 1))
    await plain.close()


async def test_many_records_of_many_partitions_arrive_whole(world: World) -> None:
    """Batches are split by bytes and none is lost: more than a request's worth, in order, in every partition."""
    _, member = await world.member()
    writer = await world.writer()
    wheres = [TopicPartition(world.out, number) for number in range(4)]
    big = {where: [Outgoing(b"%d" % at, bytes([at]) * 40_000) for at in range(60)] for where in wheres}
    await transact(writer, world, member, big, {0: 1})
    for where in wheres:
        assert [one.key for one in await world.read_all(where)] == [b"%d" % at for at in range(60)]


async def test_partitions_are_shared_out_and_taken_back(world: World) -> None:
    """A second member takes half, under a generation one higher; when it leaves, the first has all again."""
    first, alone = await world.member()
    assert alone.partitions == frozenset(range(4))
    assert await first.confirm(alone)
    second, half = await world.member()
    other_half = await assigned(first, than=alone)
    assert half.generation == other_half.generation > alone.generation
    assert half.partitions | other_half.partitions == frozenset(range(4))
    assert not half.partitions & other_half.partitions
    assert await first.confirm(other_half)
    assert not await first.confirm(alone)
    await second.close()
    assert second.current is None
    again = await assigned(first, than=other_half)
    assert again.partitions == frozenset(range(4))


async def test_a_successor_evicts_its_predecessor(world: World) -> None:
    """A member started with its predecessor's id has the partitions at once, not after the session time-out."""
    _, before = await world.member()
    async with asyncio.timeout(4):
        _, after = await world.member(before.member_id)
    assert after.partitions == before.partitions
    assert after.member_id != before.member_id
    async with asyncio.timeout(4):
        await world.member("nobody knows this one")


async def test_rejoining_gives_a_new_member_id(world: World) -> None:
    """Whoever is no member any more joins afresh, and nothing said under the old id is accepted."""
    member, before = await world.member()
    await member.rejoin()
    after = await assigned(member, than=before)
    assert after.member_id != before.member_id
    assert after.partitions == before.partitions
    assert not await member.confirm(before)
    assert await member.confirm(after)


async def test_topics_have_ids(world: World) -> None:
    """Each topic has one id, the same for everybody who asks."""
    names = [world.out, world.commands]
    ids = await (await world.log()).topic_ids(names)
    assert set(ids) == set(names)
    assert len(set(ids.values())) == 2
    assert ids == await (await world.log()).topic_ids(names)


async def send(writer: Writer, world: World, member: Assignment) -> None:
    await writer.send_offsets(world.group, world.commands, {0: 1}, member)
