"""Transactions that Kafka decided and whose markers it never wrote (ADR 12), on a real Kafka.

Killing a broker within a commit leaves such only now and then. The first tests leave one every time: with partition
verification off, records may be appended that the coordinator does not know of, so it writes no marker for them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import cast

import pytest
from kio.schema.create_acls.v3 import CreateAclsRequest, CreateAclsResponse
from kio.schema.create_acls.v3.request import AclCreation
from kio.schema.produce.v11 import ProduceRequest, ProduceResponse
from kio.schema.produce.v11.request import PartitionProduceData, TopicProduceData
from kio.schema.types import TopicName, TransactionalId
from kio.static.primitive import Records, i8, i16, i32Timedelta

from events.connection import connection
from services.kafka import markers
from services.kafka.batches import batches
from services.kafka.cluster import Lane, partition_index
from services.kafka.codes import Code
from services.kafka.errors import Fatal, Indefinite, Retriable
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Scope, TopicPartition
from services.kafka.transactions import described, open_transactions
from services.kafka.writer import TransactionalWriter
from simulator.proxy.kafka import Act, Rule, listen
from tests.support.brokers import OwnBroker, own_broker
from tests.support.log_worlds import KafkaWorld, ProxiedBroker, kafka_world, records, transact

WRITER = "payonce-test-writer"
KILLS = 3
READABLE_WITHIN_S = 10


@pytest.fixture(scope="module")
def unverifying() -> Iterator[ProxiedBroker]:
    """A broker that appends what its transaction coordinator was never told of, and where alice may not do all."""
    with listen() as listening:
        host, port = listening.getsockname()
        settings = {
            "transaction.partition.verification.enable": "false",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
            "super.users": "User:ANONYMOUS",
        }
        with own_broker(proxy_address=f"{host}:{port}", extra_settings=settings, sasl_ssl=True) as broker:
            yield ProxiedBroker(broker, listening)


@pytest.fixture
async def world(namespace: str, unverifying: ProxiedBroker) -> AsyncIterator[KafkaWorld]:
    async with kafka_world(namespace, unverifying) as made:
        yield made


@pytest.fixture
async def killable(namespace: str) -> AsyncIterator[KafkaWorld]:
    with listen() as listening:
        host, port = listening.getsockname()
        with own_broker(proxy_address=f"{host}:{port}") as broker:
            async with kafka_world(namespace, ProxiedBroker(broker, listening)) as made:
                yield made


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize(
    "mended_by", ["its writer, recovering", "its successor, starting", "its writer, idle", "another"]
)
async def test_a_missing_marker_is_written_as_decided(world: KafkaWorld, mended_by: str, committed: bool) -> None:
    """Whoever comes next writes what the coordinator decided: nobody waits for ever, and nothing is undone."""
    writer = await hanging(world, committed=committed)
    lost = TopicPartition(world.out, 1)
    assert not await readable(world, lost)
    if mended_by == "its writer, recovering":
        await writer.recover()
    elif mended_by == "its successor, starting":
        await world.writer("w")
    elif mended_by == "its writer, idle":
        async with asyncio.timeout(READABLE_WITHIN_S):
            while not await readable(world, lost):
                await writer.idle()
    else:
        assert await (await world.log()).write_missing_markers(scope(world)) == 1
        assert await (await world.log()).write_missing_markers(scope(world)) == 0
    assert await world.values(lost) == ([b"lost"] if committed else [])
    assert await world.values(TopicPartition(world.out, 0)) == ([b"marked"] if committed else [])


async def test_the_next_transaction_does_not_join_one_without_a_marker(world: KafkaWorld) -> None:
    """After a lost connection the last end is looked at first; else an abort would undo what was committed."""
    writer = await hanging(world, committed=True)
    lost = TopicPartition(world.out, 1)
    world.proxy.cut_off(WRITER)
    world.proxy.heal(WRITER)
    await writer.produce({lost: records("undone")})
    await writer.abort()
    assert await world.values(lost) == [b"lost"]


async def test_what_is_still_open_is_left_alone(world: KafkaWorld) -> None:
    """A transaction that nobody has decided gets no marker from us."""
    out = TopicPartition(world.out, 0)
    _, member = await world.member()
    writer = await world.writer()
    await writer.produce({out: records("open")})
    await writer.send_offsets(world.group, world.commands, {0: 1}, member)
    assert await (await world.log()).write_missing_markers(scope(world)) == 0
    assert not await readable(world, out)
    await writer.commit()
    assert await world.values(out) == [b"open"]


async def test_a_marker_that_is_late_ends_nothing_newer(world: KafkaWorld) -> None:
    """Looked at before, written after the producer went on: the broker refuses it, as we rely on."""
    writer = await hanging(world, committed=False)
    lost = TopicPartition(world.out, 1)
    log = await world.log()
    opened = await open_transactions(log.cluster, scope(world))
    async with asyncio.timeout(10):
        while (decided := await described(log.cluster, f"{world.namespace}.w")) is None or (
            decided.state not in markers.DECIDED
        ):
            pass  # an end is answered before its markers are written
    await append_unknown(writer, lost, "newer")
    await markers._end(log.cluster, decided, opened)
    assert not await readable(world, lost), "the newer transaction was ended by a stranger"


async def test_a_marker_that_may_not_be_written_is_said(world: KafkaWorld, unverifying: ProxiedBroker) -> None:
    """Without ALTER on the cluster the owner does not begin: the coordinator would forget what it decided."""
    await hanging(world, committed=True)
    await deny_alter(await world.log(), "User:alice")
    broker = unverifying.broker
    assert isinstance(broker, OwnBroker)
    assert broker.sasl_ssl_bootstrap_servers is not None
    to = connection(broker.sasl_ssl_bootstrap_servers, broker.client_properties)
    log = await KafkaLog.connect(to, client_id="payonce-alice")
    writer = await log.writer(f"{world.namespace}.w", 10_000, scope(world))
    with pytest.raises(Fatal, match=r"1 partitions lack the marker .* CompleteCommit.* 31 \(cluster_auth"):
        await writer.start()
    await writer.close()
    await log.close()
    await world.writer("w")  # of one who may
    assert await world.values(TopicPartition(world.out, 1)) == [b"lost"]


@pytest.mark.parametrize("answered", [False, True])
async def test_a_broker_killed_within_a_commit_leaves_nothing_unread(killable: KafkaWorld, answered: bool) -> None:
    """The broker dies between decision and markers, again and again: each transaction is there, whole, and once."""
    world = killable
    out = [TopicPartition(world.out, one) for one in range(3)]
    member, current = await world.member()
    writer = await world.writer()
    expected: list[bytes] = []
    for number in range(KILLS):
        if not answered:
            world.proxy.add(Rule(Act.LOSE_ANSWER, "EndTxn", WRITER))
        try:
            await transact(writer, world, current, {one: records(f"{number}") for one in out}, {0: number + 1})
        except Indefinite:
            assert not answered
        world.proxied.broker.kill()
        await asyncio.to_thread(world.proxied.broker.restart)
        if not answered:
            await recovered(writer)
        current = member.current or current
        expected.append(b"%d" % number)
        # What comes next is undone: it must take nothing of the one before with it.
        await writer.produce({one: records("undone") for one in out})
        await writer.abort()
        for one in out:
            assert await world.values(one) == expected
        assert await offset(world) == number + 1
    print(f"{skipped(world)} of {KILLS} kills lost markers")


async def hanging(world: KafkaWorld, *, committed: bool) -> TransactionalWriter:
    """A writer whose last transaction is ended, though not in partition 1."""
    _, member = await world.member()
    writer = cast(TransactionalWriter, await world.writer())
    await writer.produce({TopicPartition(world.out, 0): records("marked")})
    await writer.send_offsets(world.group, world.commands, {0: 1}, member)
    await append_unknown(writer, TopicPartition(world.out, 1), "lost")
    await (writer.commit() if committed else writer.abort())
    return writer


async def append_unknown(writer: TransactionalWriter, where: TopicPartition, value: str) -> None:
    """As a client older than transaction.version 2 that forgot AddPartitionsToTxn."""
    (batch,) = batches(
        records(value),
        producer_id=writer._producer_id,
        epoch=writer._epoch,
        sequence=0,
        transactional=True,
        timestamp_ms=time.time_ns() // 1_000_000,  # what is older than the topic's retention is soon deleted
    )
    request = ProduceRequest(
        transactional_id=TransactionalId(writer._transactional_id),
        acks=i16(-1),
        timeout=i32Timedelta.parse(timedelta(seconds=5)),
        topic_data=(
            TopicProduceData(
                name=TopicName(where.topic),
                partition_data=(PartitionProduceData(index=partition_index(where), records=cast(Records, batch.data)),),
            ),
        ),
    )
    async with asyncio.timeout(10):
        while True:  # a leader of a new topic may not know yet that it is one
            ((leader, _),) = (await writer._cluster.leaders([where])).items()
            answer = await writer._cluster.call(leader, Lane.DATA, request, ProduceResponse)
            code = answer.responses[0].partition_responses[0].error_code
            if code != Code.not_leader_or_follower:
                break
    assert code == Code.none


async def deny_alter(log: KafkaLog, principal: str) -> None:
    cluster, alter, cluster_action, deny = 4, 7, 9, 2
    answer = await log.cluster.ask(
        CreateAclsRequest(
            creations=tuple(
                AclCreation(
                    resource_type=i8(cluster),
                    resource_name="kafka-cluster",
                    principal=principal,
                    host="*",
                    operation=i8(operation),
                    permission_type=i8(deny),
                )
                for operation in (alter, cluster_action)
            )
        ),
        CreateAclsResponse,
    )
    assert {one.error_code for one in answer.results} == {Code.none}


def scope(world: KafkaWorld) -> Scope:
    return Scope((world.out, world.compacted), world.group)


async def readable(world: KafkaWorld, where: TopicPartition) -> bool:
    """Whether everything on the partition can be read committed: nothing stands open."""
    log = await world.log()
    return all(one.where != where for one in await open_transactions(log.cluster, scope(world)))


async def recovered(writer: object) -> None:
    assert isinstance(writer, TransactionalWriter)
    async with asyncio.timeout(60):
        while True:
            try:
                await writer.recover()
            except Retriable:
                continue
            return


async def offset(world: KafkaWorld) -> int | None:
    log: KafkaLog = await world.log()
    trouble: Retriable | None = None
    until = asyncio.get_running_loop().time() + READABLE_WITHIN_S
    while asyncio.get_running_loop().time() < until:
        try:
            return (await log.stable_offsets(world.group, world.commands, [0]))[0]
        except Retriable as error:
            trouble = error
    raise AssertionError(f"{trouble}; open: {await open_transactions(log.cluster, scope(world))}")


def skipped(world: KafkaWorld) -> int:
    return world.proxied.broker.log_path.read_text().count("likely deleted already and hence can be skipped")
