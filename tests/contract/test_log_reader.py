"""A reader on a real Kafka, beyond what every log promises: aborted work between other work, and lost sessions."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from kio.schema.errors import ErrorCode
from kio.schema.fetch.v12.request import FetchRequest
from kio.schema.fetch.v12.response import FetchResponse
from kio.static.primitive import i32, i32Timedelta

from events.connection import connection
from services.kafka.cluster import Cluster, Lane
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, Reader, Record, TopicPartition
from services.kafka.reader import SMALL_BYTES, KafkaReader
from simulator.broker.embedded import EmbeddedBroker
from tests.support.log_worlds import World, kafka_world, records, transact

_CLOSED = -1  # the epoch that ends a session


@pytest.fixture
async def world(namespace: str, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with kafka_world(namespace, request.getfixturevalue("proxied_kafka")) as made:
        yield made


async def read_to(reader: Reader, where: TopicPartition, offset: int) -> list[Record]:
    """Everything up to the offset."""
    found: list[Record] = []
    async with asyncio.timeout(20):
        while reader.position(where) < offset:
            found += (await reader.fetch(1_000)).get(where, ())
    return found


async def test_what_one_writer_aborts_another_may_have_written_between(world: World) -> None:
    """Of two writers' records in turn, read by one Fetch, those of the transactions that were aborted are missing."""
    out = TopicPartition(world.out, 0)
    _, member = await world.member()
    gives_up, goes_on = await world.writer(), await world.writer("other")
    for number in range(3):
        await gives_up.produce({out: records(f"aborted {number}")})
        await transact(goes_on, world, member, {out: records(f"kept {number}")}, {0: number + 1})
        await gives_up.abort()
    await transact(gives_up, world, member, {out: records("kept by the first")}, {0: 4})
    log = await world.log()
    end = (await log.high_watermarks([out]))[out]
    reader = await world.reader()
    reader.assign({out: 0})
    assert [one.value for one in await read_to(reader, out, end)] == [
        b"kept 0",
        b"kept 1",
        b"kept 2",
        b"kept by the first",
    ]


async def test_reading_begins_in_the_middle_of_a_batch(world: World) -> None:
    """A position inside of a batch gives the records from there on, though a Fetch always brings whole batches."""
    out = TopicPartition(world.out, 0)
    _, member = await world.member()
    await transact(await world.writer(), world, member, {out: records("a", "b", "c")}, {0: 1})
    reader = await world.reader()
    reader.assign({out: 2})
    assert [one.offset for one in await read_to(reader, out, 3)] == [2]


async def test_a_small_reader_reads_everything_a_little_at_a_time(kafka: EmbeddedBroker, namespace: str) -> None:
    """Of short batches a small part, and batches that are longer than what it asks for one after the other."""
    to = connection(kafka.bootstrap_servers)
    log = await KafkaLog.connect(to, client_id="payonce-test")
    await log.ensure_topics(namespace, 2)
    short, long = (TopicPartition(f"{namespace}.commands", number) for number in (0, 1))
    writer = await log.plain_writer()
    for _ in range(20):
        await writer.produce({short: [Outgoing(b"k", b"s" * 50_000)]})
    for _ in range(3):
        await writer.produce({long: [Outgoing(b"k", b"l" * 100_000) for _ in range(8)]})
    reader = await log.reader(small=True)
    reader.assign({short: 0, long: 0})
    pieces: dict[TopicPartition, list[int]] = {short: [], long: []}
    async with asyncio.timeout(20):
        while sum(pieces[short]) < 20 or sum(pieces[long]) < 24:
            for where, several in (await reader.fetch(1_000)).items():
                pieces[where].append(len(several))
    assert sum(pieces[short]) == 20
    assert pieces[long] == [8, 8, 8]
    assert max(pieces[short]) * 50_000 <= SMALL_BYTES
    await asyncio.gather(writer.close(), reader.close())
    await log.close()


async def test_a_session_that_the_broker_forgets_is_begun_anew(kafka: EmbeddedBroker, namespace: str) -> None:
    """Nothing is lost or read twice when the broker no longer knows what a reader said it wanted."""
    to = connection(kafka.bootstrap_servers)
    log = await KafkaLog.connect(to, client_id="payonce-test")
    await log.ensure_topics(namespace, 2)
    places = [TopicPartition(f"{namespace}.commands", number) for number in (0, 1)]
    writer = await log.plain_writer()
    reader = await log.reader()
    reader.assign(dict.fromkeys(places, 0))
    for number in range(3):
        await writer.produce({one: [Outgoing(b"k", b"%d" % number)] for one in places})
        found: dict[TopicPartition, list[bytes | None]] = {}
        async with asyncio.timeout(20):
            while len(found) < len(places):
                for one, several in (await reader.fetch(1_000)).items():
                    found.setdefault(one, []).extend(record.value for record in several)
        assert found == {one: [b"%d" % number] for one in places}
        await _end_sessions(reader, log.cluster)
    await asyncio.gather(writer.close(), reader.close())
    await log.close()


async def _end_sessions(reader: KafkaReader, cluster: Cluster) -> None:
    """As if the broker had made room for others."""
    for node, session in reader._sessions.items():
        request = FetchRequest(
            max_wait=i32Timedelta.parse(timedelta(0)),
            min_bytes=i32(0),
            session_id=i32(session._id),
            session_epoch=i32(_CLOSED),
            topics=(),
            forgotten_topics_data=(),
        )
        answer = await cluster.call(node, Lane.QUESTIONS, request, FetchResponse)
        assert answer.error_code == ErrorCode.none, f"session {session._id} was not there to be ended"
