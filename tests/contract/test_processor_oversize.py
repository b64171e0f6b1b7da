"""The largest records a broker takes from a producer that is not ours, and the processor that must get past them."""

import os
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from events.connection import connection
from events.topics import MESSAGE_BYTES_MAX, topic_name
from simulator.broker.embedded import EmbeddedBroker
from tests.support.commands import command
from tests.support.processor_worlds import World, world_of

Headers = list[tuple[str, bytes]]


@pytest.fixture
async def world(kafka: EmbeddedBroker, namespace: str) -> AsyncIterator[World]:
    async with world_of("kafka", namespace, 1, connection(kafka.bootstrap_servers)) as made:
        yield made


async def append_largest(
    kafka: EmbeddedBroker, world: World, key: bytes, value: bytes, noise: str
) -> tuple[bytes, Headers]:
    """Append the command with as much noise as the broker lets through: as its value, or as the header of that name."""
    await (await world.connect("topics")).close()  # which makes them
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, max_request_size=2 * MESSAGE_BYTES_MAX)
    await producer.start()
    try:
        for spare in range(60, 400, 4):
            random = os.urandom(MESSAGE_BYTES_MAX - spare - (0 if noise == "value" else len(value)))
            sent: tuple[bytes, Headers] = (random, []) if noise == "value" else (value, [(noise, random)])
            try:
                await producer.send_and_wait(
                    topic_name(world.namespace, "commands"), sent[0], key=key, partition=0, headers=sent[1]
                )
            except MessageSizeTooLargeError:
                continue
            return sent
    finally:
        await producer.stop()
    pytest.fail("the broker took none of them")


async def test_noise_as_long_as_a_batch_is_dead_lettered_in_part(kafka: EmbeddedBroker, world: World) -> None:
    """A record that leaves no room for the headers of a dead letter is cut, its length kept, and the next one runs."""
    noise, _ = await append_largest(kafka, world, b"shop", b"", "value")
    await world.append(command("shop", "k1"))
    processor = await world.processor()
    await processor.ready()
    (reply,) = await world.replies(1)
    await processor.stop()
    assert reply["status"] == 201
    (dead,) = await world.read("dead-letters")
    assert (dead.record.key, dead.record.value) == (b"shop", noise[: 64 * 1024])
    headers = dict(dead.record.headers)
    assert (headers["offset"], headers["reason"]) == (b"0", b"too_large")
    assert headers["cut"] == f"key 4 value {len(noise)}".encode()


@pytest.mark.parametrize("header", ["reply_to", "traceparent"])
async def test_a_header_as_long_as_a_batch_is_not_carried_on(kafka: EmbeddedBroker, world: World, header: str) -> None:
    """A valid command is executed whatever its headers are; what no reply can hold is left out of it."""
    asked = command("shop", "k1")
    assert asked.value is not None
    await append_largest(kafka, world, b"shop", asked.value, header)
    processor = await world.processor()
    await processor.ready()
    (reply,) = await world.replies(1)
    await processor.stop()
    assert reply["status"] == 201
    assert len(await world.charges()) == 1
    for topic in ("replies", "charges"):
        (told,) = await world.read(topic)
        assert header not in dict(told.record.headers)
