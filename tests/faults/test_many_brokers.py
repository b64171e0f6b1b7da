"""Transactions, publishers and a whole stack while one of three brokers is killed, paused or relieved of its work.

Every record has three copies, two acknowledge. The leader of the data, the coordinator of the transactions and that
of the group are three different brokers at the start of each test, so that a test disturbs exactly one of them.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from events.connection import connection
from services.kafka.cluster import REQUEST_TIMEOUT_MS, CoordinatorOf
from services.kafka.errors import Abortable, Indefinite, Retriable
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Assignment, Membership, Outgoing, Scope, TopicPartition, Writer
from services.kafka.publisher import Publisher
from tests.support.cluster_controls import Controls, controls, group_partition, transaction_partition
from tests.support.commands import command, merchant_of
from tests.support.log_worlds import assigned
from tests.support.processor_worlds import KafkaWorld
from tests.support.three_brokers import NODES, ThreeBrokers, three_brokers
from tests.support.up import Up, running
from tests.support.wait import wait_until

PARTITIONS: Final = 3
LEADER, TRANSACTIONS, GROUP = 1, 2, 3  # who is what at the start
FLOOD: Final = 1_000  # commands, more than one transaction's worth
ANSWERED_WITHIN_S: Final = 20.0  # Kafka misses a broker after 2.5 s here, a controller after 2 s more
PATIENT_MS: Final = 15_000  # a transaction's time-out, longer than any election


@pytest.fixture(scope="module")
def brokers() -> Iterator[ThreeBrokers]:
    with three_brokers() as made:
        yield made


@pytest.fixture
async def control(brokers: ThreeBrokers) -> AsyncIterator[Controls]:
    async with controls(brokers) as made:
        yield made


class Pen:
    """One writer and one member of a group, over topics whose leaders and coordinators are known."""

    def __init__(self, log: KafkaLog, namespace: str, member: Membership, writer: Writer) -> None:
        self.log = log
        self.member = member
        self.writer = writer
        self.group = f"{namespace}.processor"
        self.commands = f"{namespace}.commands"
        self.out = TopicPartition(f"{namespace}.charges", 0)
        self.transactions = transaction_partition(f"{namespace}.w")
        self.groups = group_partition(self.group)

    async def produce(self, *values: bytes) -> None:
        await self.writer.produce({self.out: [Outgoing(b"k", one) for one in values]})

    async def send_offsets(self, offset: int) -> None:
        await self.writer.send_offsets(self.group, self.commands, {0: offset}, await self.membership())

    async def membership(self) -> Assignment:
        return self.member.current or await assigned(self.member)

    async def offset(self) -> int:
        return (await self.log.stable_offsets(self.group, self.commands, [0]))[0] or 0

    async def recovered(self) -> None:
        """As the processor does it: as often as it takes while a broker is away."""
        while True:
            try:
                await self.writer.recover()
            except Retriable:
                continue
            return

    async def values(self) -> list[bytes | None]:
        return await read(self.log, self.out)


async def read(log: KafkaLog, where: TopicPartition) -> list[bytes | None]:
    """What is committed, up to the high watermark of now."""
    reader = await log.reader()
    end = (await log.high_watermarks([where]))[where]
    reader.assign({where: 0})
    found: list[bytes | None] = []
    async with asyncio.timeout(30):
        while reader.position(where) < end:
            try:
                found += [one.value for one in (await reader.fetch(200)).get(where, ())]
            except Retriable:
                continue
    await reader.close()
    return found


@asynccontextmanager
async def pen(control: Controls, namespace: str) -> AsyncIterator[Pen]:
    """Over a new namespace: LEADER leads the data, TRANSACTIONS and GROUP coordinate."""
    log = await KafkaLog.connect(connection(control.brokers.bootstrap_servers), client_id="payonce-test")
    await log.ensure_topics(namespace, PARTITIONS)
    member = await log.membership(f"{namespace}.processor", f"{namespace}.commands", 6_000)
    writer = await log.writer(f"{namespace}.w", PATIENT_MS, scope(namespace))
    made = Pen(log, namespace, member, writer)
    try:
        for where, node in ((made.out, LEADER), (made.transactions, TRANSACTIONS), (made.groups, GROUP)):
            await control.move(where, node)
        await writer.start()
        await member.start(None)
        await made.membership()
        yield made
    finally:
        for one in (writer, member, log):
            await one.close()


async def test_leaders_and_coordinators_may_move_in_mid_transaction(control: Controls, namespace: str) -> None:
    """Each moved before each step of a transaction, records and offsets are committed once, without an error."""
    async with pen(control, namespace) as made:
        number = 0
        for where, nodes in ((made.out, (2, 3, 1)), (made.transactions, (3, 1, 2)), (made.groups, (1, 2, 3))):
            before = [
                lambda one=number: made.produce(b"%d" % one),
                lambda one=number: made.send_offsets(one + 1),
                made.writer.commit,
            ]
            await made.produce(b"begun %d" % number)
            for step, node in zip(before, nodes, strict=True):
                await control.move(where, node)
                await step()
            number += 1
        values = await made.values()
        assert values == [one for each in range(number) for one in (b"begun %d" % each, b"%d" % each)]
        assert await made.offset() == number


async def test_a_leader_killed_in_mid_transaction_is_followed_to_the_next(control: Controls, namespace: str) -> None:
    """Its records before and after the kill are in one transaction, committed once, and nobody had to recover."""
    async with pen(control, namespace) as made:
        await made.produce(b"before")
        control.brokers[LEADER].kill()
        began = time.monotonic()
        await made.produce(b"after")
        print(f"\nappended {time.monotonic() - began:.1f} s after the leader was killed")
        await made.send_offsets(1)
        await made.writer.commit()
        assert (await made.values(), await made.offset()) == ([b"before", b"after"], 1)


@pytest.mark.parametrize("moment", ["before the end", "during the end"])
async def test_a_killed_coordinator_of_transactions(control: Controls, namespace: str, moment: str) -> None:
    """Whenever it was killed, the outcome is certain, the same for record and offset, and the writer goes on."""
    async with pen(control, namespace) as made:
        coordinator = control.brokers[TRANSACTIONS]
        await made.produce(b"one")
        await made.send_offsets(1)
        ending = asyncio.ensure_future(made.writer.commit())
        if moment == "during the end":
            await asyncio.sleep(0)  # the request is on its way
        coordinator.kill()
        began = time.monotonic()
        await ended(made, ending)
        print(f"\n{moment}: certain {time.monotonic() - began:.1f} s after the coordinator was killed")
        committed = await made.offset()
        assert await made.values() == [b"one"] * committed
        await made.produce(b"two")
        await made.send_offsets(2)
        await made.writer.commit()
        assert await made.values() == [b"one"] * committed + [b"two"]


def scope(namespace: str) -> Scope:
    return Scope((f"{namespace}.charges",), f"{namespace}.processor")


async def ended(made: Pen, ending: Awaitable[None]) -> None:
    try:
        await ending
    except (Abortable, Indefinite, Retriable) as error:
        print(f"\n{type(error).__name__}: {error}")
        await made.recovered()


async def test_a_coordinator_of_the_group_killed_before_the_commit(control: Controls, namespace: str) -> None:
    """The offsets that it took are committed with the transaction, and known to its successor; the member stays."""
    async with pen(control, namespace) as made:
        member = await made.membership()
        await made.produce(b"one")
        await made.send_offsets(1)
        control.brokers[GROUP].kill()
        began = time.monotonic()
        await ended(made, made.writer.commit())  # its answer needs the copies, and a dead one is missed after a while
        print(f"\ncertain {time.monotonic() - began:.1f} s after the group's coordinator was killed")
        assert await made.offset() == 1
        assert await made.member.confirm(member)
        await made.produce(b"two")
        await made.send_offsets(2)
        await made.writer.commit()
        assert (await made.values(), await made.offset()) == ([b"one", b"two"], 2)


async def test_where_a_group_and_a_transactional_id_are_kept(control: Controls, namespace: str) -> None:
    """Computed from the name alone, it is the partition whose leader Kafka says coordinates."""
    for number in range(20):
        name = f"{namespace}.{number}"
        for of, where in (
            (CoordinatorOf.GROUP, group_partition(name)),
            (CoordinatorOf.TRANSACTION, transaction_partition(name)),
        ):
            assert await control.coordinator(of, name) == await control.leader(where)


async def test_the_first_address_may_be_dead(control: Controls, namespace: str) -> None:
    """A list whose first host refuses everybody leads to the cluster all the same."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        addresses = f"127.0.0.1:{closed.getsockname()[1]},{control.brokers.bootstrap_servers}"
        log = await KafkaLog.connect(connection(addresses), client_id="payonce-test", patience_ms=1_000)
        await log.ensure_topics(namespace, PARTITIONS)
        writer = await log.writer(f"{namespace}.w", PATIENT_MS, scope(namespace))
        await writer.start()
        member = await log.membership(f"{namespace}.processor", f"{namespace}.commands", 6_000)
        await member.start(None)
        assert (await assigned(member)).partitions == frozenset(range(PARTITIONS))
        for one in (member, writer, log):
            await one.close()


async def test_a_broker_that_hangs_costs_one_time_out(control: Controls, namespace: str) -> None:
    """The first question after it stopped answering waits for it, the others ask whoever answered."""
    log = await KafkaLog.connect(connection(control.brokers.bootstrap_servers), client_id="payonce-test")
    await log.ensure_topics(namespace, PARTITIONS)
    asked = next(iter(log.cluster._addresses))
    with control.brokers.paused(asked):
        began = time.monotonic()
        for _ in range(4):
            writer = await log.writer(f"{namespace}.w", PATIENT_MS, scope(namespace))
            await writer.close()
            await log.topic_ids([f"{namespace}.keys"])
        took = time.monotonic() - began
    print(f"\neight questions after {took:.1f} s")
    assert took < 2 * REQUEST_TIMEOUT_MS / 1000
    await log.close()


async def test_a_topic_that_brokers_have_not_heard_of_yet(control: Controls, namespace: str) -> None:
    """Records for a topic that is made a moment later wait for it: error 3 is asked again, with fresh metadata."""
    to = connection(control.brokers.bootstrap_servers)
    log = await KafkaLog.connect(to, client_id="payonce-test")
    publisher = Publisher(to, "payonce-test", 10_000)
    await publisher.start()
    early = asyncio.ensure_future(publisher.send(f"{namespace}.charges", 0, b"k", b"early"))
    await wait_until(lambda: publisher._in_flight, timeout_s=5, message="nothing is on its way")
    await log.ensure_topics(namespace, PARTITIONS)
    assert await early == (0, 0)
    await publisher.close()
    await log.close()


async def test_a_partition_without_a_leader_keeps_no_other_waiting(control: Controls, namespace: str) -> None:
    """Of records sent together those with a leader are acknowledged at once, the other when its broker is back."""
    topic = await control.uncopied_topic(namespace)  # partition 0 on broker 1, and so on
    publisher = Publisher(connection(control.brokers.bootstrap_servers), "payonce-test", 30_000)
    await publisher.start()
    await asyncio.gather(*(publisher.send(topic, one, b"k", b"first") for one in range(PARTITIONS)))
    control.brokers[1].kill()
    lonely, *others = [asyncio.ensure_future(publisher.send(topic, one, b"k", b"second")) for one in range(PARTITIONS)]
    async with asyncio.timeout(10):
        assert await asyncio.gather(*others) == [(1, 1), (2, 1)]
        assert await publisher.send(topic, 1, b"k", b"third") == (1, 2)
    assert not lonely.done()
    await control.whole()
    assert await lonely == (0, 1)
    await publisher.close()


async def test_a_whole_stack_while_each_broker_is_killed_in_turn(
    control: Controls, namespace: str, tmp_path: Path
) -> None:
    """On the two that are left customers are answered within seconds; every command is executed once."""
    where = ["--kafka", control.brokers.bootstrap_servers, "--namespace", namespace, "--partitions", str(PARTITIONS)]
    world = KafkaWorld(namespace, PARTITIONS, connection(control.brokers.bootstrap_servers))
    took: list[float] = []
    with running(tmp_path / "up", *where) as up:
        started = processes(up)
        for node in NODES:
            await flood(world, f"flood {node}")
            control.brokers[node].kill()
            began = time.monotonic()
            await asyncio.to_thread(up.pay, f"order {node}", timeout_s=60)
            await all_answered(world)
            took.append(time.monotonic() - began)
            if node != NODES[-1]:
                await control.whole()
        print(f"\nall answered {', '.join(f'{one:.1f}' for one in took)} s after brokers 1, 2 and 3 were killed")
        assert started == processes(up), "a service had to be started again"
    charged = [one["merchant_id"] + one["idempotency_key"] for one in await world.charges()]
    assert len(charged) == len(set(charged)) == len(NODES) * (FLOOD + 1)
    assert max(took) < ANSWERED_WITHIN_S


def processes(up: Up) -> list[int]:
    return [each["pid"] for each in up.stack()["processes"]]


async def flood(world: KafkaWorld, name: str) -> None:
    merchants = [merchant_of(one, PARTITIONS) for one in range(PARTITIONS)]
    await world.append(*(command(merchants[one % PARTITIONS], f"{name} {one}") for one in range(FLOOD)))


async def all_answered(world: KafkaWorld) -> None:
    commands = {one.value["command_id"] for one in await world.read("commands")}

    async def told() -> bool:
        return {one.value["command_id"] for one in await world.read("replies")} >= commands

    await wait_until(told, timeout_s=60, message="some commands have no reply")
