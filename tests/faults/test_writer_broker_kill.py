"""The transactional writer while its broker is killed in the middle of transactions, on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from events.connection import connection
from services.kafka.errors import Abortable, Fatal, Indefinite, Retriable
from services.kafka.kafka_log import KafkaLog
from services.kafka.membership import KafkaMembership
from services.kafka.port import Assignment, Outgoing, Scope, TopicPartition, Writer
from simulator.broker.embedded import EmbeddedBroker
from tests.support.brokers import own_broker
from tests.support.log_worlds import assigned

TRANSACTIONS = 24
KILLS_AT = (6, 14)  # before a commit and during one


@pytest.fixture
async def broker() -> AsyncIterator[EmbeddedBroker]:
    with own_broker() as made:
        yield made


async def test_a_killed_broker_loses_and_repeats_nothing(broker: EmbeddedBroker, namespace: str) -> None:
    """Whatever a SIGKILL did to a transaction, records and offset agree, and the loop ends with each number once."""
    log = await KafkaLog.connect(connection(broker.bootstrap_servers), client_id="payonce-test")
    await log.ensure_topics(namespace, 1)
    out = TopicPartition(f"{namespace}.charges", 0)
    group, commands = f"{namespace}.processor", f"{namespace}.commands"
    member = await log.membership(group, commands, 6_000)
    await member.start(None)
    writer = await log.writer(f"{namespace}.w", 10_000, Scope((out.topic,), group))
    await writer.start()
    restarting: list[asyncio.Task[None]] = []

    async def transaction(number: int) -> None:
        await writer.produce({out: [Outgoing(b"k", b"%d" % number)]})
        await writer.send_offsets(group, commands, {0: number + 1}, await settled(member))
        if number in KILLS_AT and len(restarting) < KILLS_AT.index(number) + 1:
            committing = asyncio.ensure_future(writer.commit()) if number == KILLS_AT[1] else None
            await asyncio.sleep(0)  # so that the request is on its way
            broker.kill()
            restarting.append(asyncio.create_task(asyncio.to_thread(broker.restart)))
            await (committing or writer.commit())
        else:
            await writer.commit()

    number = 0
    async with asyncio.timeout(90):
        while number < TRANSACTIONS:
            try:
                await transaction(number)
            except (Abortable, Indefinite, Retriable):
                await recovered(writer)
            # As a take-over does: nobody remembers, the log tells where to go on.
            number = (await log.stable_offsets(group, commands, [0]))[0] or 0
        await asyncio.gather(*restarting)
        values = await read(log, out)
    assert values == [b"%d" % each for each in range(TRANSACTIONS)]
    for one in (writer, member, log):
        await one.close()


async def test_a_broker_that_never_answers_is_said_in_one_sentence(namespace: str) -> None:
    """A service without a broker gives up after its patience, and says where it looked."""
    with pytest.raises(Fatal, match=r"No Kafka broker answered at 127\.0\.0\.1:1 within 0\.3 s"):
        await KafkaLog.connect(connection("127.0.0.1:1"), client_id="payonce-test", patience_ms=300)


async def recovered(writer: Writer) -> None:
    """Recover, as often as it takes while the broker is away."""
    while True:
        try:
            await writer.recover()
        except Retriable:
            continue
        return


async def settled(member: KafkaMembership) -> Assignment:
    current = member.current
    return current if current is not None else await assigned(member)


async def read(log: KafkaLog, where: TopicPartition) -> list[bytes | None]:
    reader = await log.reader()
    end = (await log.high_watermarks([where]))[where]
    reader.assign({where: 0})
    found: list[bytes | None] = []
    while reader.position(where) < end:
        found += [one.value for one in (await reader.fetch(200)).get(where, ())]
    await reader.close()
    return found
