"""The gateway's publisher on a real Kafka: 503 and 504 hang on what it says of a send that failed."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from events.connection import connection
from services.kafka.errors import Indefinite, NotSent
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import TopicPartition
from services.kafka.publisher import Appended, Publisher
from simulator.proxy.kafka import Act, Rule
from tests.support.log_worlds import KafkaWorld, ProxiedBroker, kafka_world
from tests.support.wait import wait_until

CLIENT = "payonce-gateway"


@pytest.fixture
async def world(namespace: str, proxied_kafka: ProxiedBroker) -> AsyncIterator[KafkaWorld]:
    async with kafka_world(namespace, proxied_kafka) as made:
        yield made


@pytest.fixture
async def publisher(world: KafkaWorld) -> AsyncIterator[Publisher]:
    made = Publisher(world.proxied_connection, CLIENT, 1_500, request_timeout_ms=500)
    await made.start()
    yield made
    await made.close()


async def test_sends_of_one_moment_leave_together(world: KafkaWorld, publisher: Publisher) -> None:
    """Hundreds of requests waiting at once take few batches, keep their order, and each learns its own offset."""
    seen = world.proxy.add(Rule(Act.DELAY_ANSWER, "Produce", CLIENT, times=1_000))
    sends = [send(publisher, world, number % 2, b"%d" % number) for number in range(600)]
    appended = await asyncio.gather(*sends)
    for partition in (0, 1):
        offsets = [one.offset for one in appended if one.partition == partition]
        assert offsets == list(range(300))
        values = await world.values(TopicPartition(world.out, partition))
        assert values == [b"%d" % number for number in range(600) if number % 2 == partition]
    assert len(seen.seen) < 20


@pytest.mark.parametrize("act", [Act.LOSE_REQUEST, Act.LOSE_ANSWER, Act.REPEAT_REQUEST])
async def test_a_troubled_send_is_appended_once(world: KafkaWorld, publisher: Publisher, act: Act) -> None:
    """A lost or repeated Produce is one record: the second copy has the first one's sequence number."""
    rule = world.proxy.add(Rule(act, "Produce", CLIENT))
    assert await send(publisher, world, 0, b"1") == Appended(0, 0)
    assert await send(publisher, world, 0, b"2") == Appended(0, 1)
    await asyncio.wait_for(rule.bitten.wait(), 5)
    assert await world.values(TopicPartition(world.out, 0)) == [b"1", b"2"]


async def test_nothing_sent_is_said_to_be_nothing(world: KafkaWorld, publisher: Publisher) -> None:
    """Where no connection to Kafka can be had, the record is provably not on the log, now and later."""
    world.proxy.cut_off("")
    await world.proxy.close()
    with pytest.raises(NotSent):
        await send(publisher, world, 0, b"never")
    log_end = await direct_end(world)
    assert log_end == 0


async def test_a_send_that_may_have_left_is_unknown(world: KafkaWorld, publisher: Publisher) -> None:
    """A record whose answers are all lost may be on the log; it is neither confirmed nor denied, nor sent anew."""
    lost = world.proxy.add(Rule(Act.LOSE_ANSWER, "Produce", CLIENT, times=1_000))
    with pytest.raises(Indefinite):
        await send(publisher, world, 0, b"unknown")
    world.proxy.clear()
    assert len(lost.seen) > 1  # it was asked again, under the same sequence number
    await send(publisher, world, 0, b"next")
    assert await world.values(TopicPartition(world.out, 0)) == [b"unknown", b"next"]


async def test_a_late_record_of_a_replaced_producer_is_its_own(world: KafkaWorld, publisher: Publisher) -> None:
    """A record that was given up as unknown and arrives later is one record: it was never sent through another."""
    held = world.proxy.add(Rule(Act.HOLD_REQUEST, "Produce", CLIENT, times=1_000, cut=False))
    with pytest.raises(Indefinite):
        await send(publisher, world, 0, b"late")
    world.proxy.clear()
    await send(publisher, world, 0, b"next")
    await world.proxy.release(held)
    assert sorted(v or b"" for v in await world.values(TopicPartition(world.out, 0))) == [b"late", b"next"]


async def test_a_full_queue_refuses_at_once(world: KafkaWorld) -> None:
    """A publisher with more waiting than it may hold says so, instead of growing."""
    publisher = Publisher(world.proxied_connection, CLIENT, 1_500, request_timeout_ms=500, waiting_max=3)
    await publisher.start()
    world.proxy.add(Rule(Act.DELAY_ANSWER, "Produce", CLIENT, delay_ms=300))
    sends = [asyncio.ensure_future(send(publisher, world, 0, b"%d" % number)) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(NotSent, match="waiting"):
        await send(publisher, world, 0, b"too much")
    assert [one.offset for one in await asyncio.gather(*sends)] == [0, 1, 2]
    await publisher.close()
    with pytest.raises(NotSent, match="closed"):
        await send(publisher, world, 0, b"too late")


async def test_a_caller_that_goes_away_takes_nothing_back(world: KafkaWorld, publisher: Publisher) -> None:
    """A cancelled request's record is appended all the same."""
    sending = asyncio.ensure_future(send(publisher, world, 0, b"1"))
    await asyncio.sleep(0)
    sending.cancel()
    where = TopicPartition(world.out, 0)

    async def appended() -> bool:
        return await world.values(where) == [b"1"]

    await wait_until(appended, timeout_s=5, message="the record of a cancelled caller did not arrive")


async def test_an_answer_takes_milliseconds(world: KafkaWorld, publisher: Publisher) -> None:
    """Nothing lingers: a lone send on an idle publisher is answered well within the gateway's budget of 20 ms."""
    await send(publisher, world, 0, b"warm")
    took_ms = []
    for number in range(20):
        began = time.perf_counter()
        await send(publisher, world, 0, b"%d" % number)
        took_ms.append((time.perf_counter() - began) * 1000)
    assert sorted(took_ms)[10] < 15


async def direct_end(world: KafkaWorld) -> int:
    """The high watermark, asked past the proxy."""
    log = await KafkaLog.connect(connection(world.proxied.broker.bootstrap_servers), client_id="payonce-test")
    where = TopicPartition(world.out, 0)
    end = (await log.high_watermarks([where]))[where]
    await log.close()
    return end


async def send(publisher: Publisher, world: KafkaWorld, partition: int, value: bytes) -> Appended:
    return await publisher.send(world.out, partition, b"k", value)
