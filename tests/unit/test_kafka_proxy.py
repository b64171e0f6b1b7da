"""The proxy before a Kafka broker, on real sockets: whole frames, in their order, however the wire is."""

import asyncio
import struct
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.proxy.kafka import ALWAYS, Act, Condition, Rule
from simulator.proxy.kafka_frames import FRAME_MAX, FrameSplitter, parse_request, wrapped
from simulator.proxy.kafka_link import QUEUE_MAX
from tests.support.frame_broker import FrameClient, broker_behind_proxy
from tests.support.wait import wait_until

WRITER = "payonce-processor-1-writer"


@given(messages=st.lists(st.binary(max_size=40), max_size=8), cuts=st.lists(st.integers(1, 30), min_size=1, max_size=9))
def test_frames_are_whole_however_the_bytes_come(messages: list[bytes], cuts: list[int]) -> None:
    """Cut anywhere, the same frames come out, in order, and nothing is left over."""
    sent = b"".join(map(wrapped, messages))
    splitter, found, at, turn = FrameSplitter(), [], 0, 0
    while at < len(sent):
        size = cuts[turn % len(cuts)]
        found += splitter.feed(sent[at : at + size])
        at, turn = at + size, turn + 1
    assert found == [wrapped(message) for message in messages]


@pytest.mark.parametrize("size", [-1, FRAME_MAX + 1])
def test_what_is_no_frame_is_refused(size: int) -> None:
    """A length that no broker takes would only fill our memory."""
    with pytest.raises(ValueError, match="not Kafka's"):
        list(FrameSplitter().feed(struct.pack(">i", size)))


@given(st.binary(max_size=64))
def test_no_bytes_are_a_surprise(message: bytes) -> None:
    """A request header is read from anything long enough, and refused otherwise."""
    if len(message) < 10:
        with pytest.raises(ValueError, match="no request"):
            parse_request(message)
    else:
        assert parse_request(message).frame == message


async def test_whoever_does_not_speak_kafka_is_sent_away() -> None:
    """Their connection is reset, and others go on."""
    async with broker_behind_proxy() as (_, proxy):
        stranger = await FrameClient.connect(proxy, "")
        stranger.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await stranger.is_broken()
        await (await FrameClient.connect(proxy, WRITER)).ask("Produce")


async def test_a_broker_that_is_not_there_is_a_broken_connection() -> None:
    """As one that died would be; the next connection finds the broker where it is then."""
    async with broker_behind_proxy() as (broker, proxy):
        there, broker.address = broker.address, "127.0.0.1:1"
        assert await (await FrameClient.connect(proxy, WRITER)).is_broken()
        broker.address = there
        await (await FrameClient.connect(proxy, WRITER)).ask("Produce")


async def test_a_slow_wire_delays_both_ways_and_keeps_the_order() -> None:
    """However the jitter falls; only clients that are meant wait."""
    async with broker_behind_proxy() as (_, proxy):
        slow, other = [await FrameClient.connect(proxy, name) for name in ("slow", "other")]
        condition = proxy.begin(Condition("slow", latency_ms=40, jitter_ms=40, rng=Random(1)))
        began = time.monotonic()
        numbers = [slow.send("Produce") for _ in range(10)]
        assert [await slow.answer() for _ in numbers] == numbers
        assert time.monotonic() - began >= 0.04
        assert (condition.frames, condition.clients) == (20, {"slow"})
        assert condition.held_ms_max > 40
        await other.ask("Produce")
        proxy.end(condition)
        await slow.ask("Produce")
        assert condition.frames == 20


async def test_a_narrow_wire_takes_its_time_for_every_byte() -> None:
    """A frame has arrived when its last byte has."""
    async with broker_behind_proxy() as (_, proxy):
        client = await FrameClient.connect(proxy, WRITER)
        condition = proxy.begin(Condition(bytes_per_s=50_000))
        began = time.monotonic()
        await client.ask("Produce", bytes(10_000))
        assert time.monotonic() - began >= 0.2
        assert condition.bytes > 10_000


async def test_what_a_silent_wire_held_arrives_when_it_is_over() -> None:
    """Also when its sender has given up by then, as TCP sends again what was sent before the farewell."""
    async with broker_behind_proxy() as (broker, proxy):
        patient, gone = [await FrameClient.connect(proxy, name) for name in ("patient", "gone")]
        for client in (patient, gone):
            await client.ask("Heartbeat")
        silence = proxy.begin(Condition(silent=True))
        waiting = patient.send("Produce")
        gone.send("EndTxn")
        await wait_until(lambda: silence.frames == 2, timeout_s=5, message="the proxy saw nothing")
        gone.writer.close()
        newcomer = await FrameClient.connect(proxy, "newcomer")
        newcomer.send("Fetch")
        await wait_until(lambda: silence.frames == 3, timeout_s=5, message="a new connection is not silent")
        assert broker.names() == ["Heartbeat", "Heartbeat"]
        proxy.end(silence)
        assert await patient.answer() == waiting
        await wait_until(lambda: len(broker.arrived) == 5, timeout_s=5, message=lambda: f"{broker.names()} arrived")
        assert sorted(broker.names()[2:]) == ["EndTxn", "Fetch", "Produce"]


async def test_a_silence_begins_with_the_very_request_that_a_rule_bites() -> None:
    """Nothing of that client passes from there on, and nobody else notices."""
    async with broker_behind_proxy() as (broker, proxy):
        victim, other = [await FrameClient.connect(proxy, name) for name in (WRITER, "other")]
        alone = Condition("processor-1", silent=True)
        rule = proxy.add(Rule(Act.BEGIN_CONDITION, "EndTxn", "processor-1", condition=alone))
        await victim.ask("Produce")
        victim.send("EndTxn")
        await asyncio.wait_for(rule.bitten.wait(), 5)
        await other.ask("EndTxn")
        assert [(one.name, one.client_id) for one in broker.arrived] == [("Produce", WRITER), ("EndTxn", "other")]
        proxy.end(alone)
        assert await victim.answer() == 2


async def test_whoever_sends_into_silence_is_not_read_from_for_ever() -> None:
    """What waits is bounded: the sender is made to wait, and nothing of it is lost."""
    async with broker_behind_proxy() as (broker, proxy):
        client = await FrameClient.connect(proxy, WRITER)
        silence = proxy.begin(Condition(silent=True))
        frames = 3 * QUEUE_MAX // 1_000_000
        for _ in range(frames):
            client.send("Produce", bytes(1_000_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await client.writer.drain()
        assert silence.bytes < 2 * QUEUE_MAX
        proxy.end(silence)
        assert [await client.answer() for _ in range(frames)] == list(range(1, frames + 1))
        assert len(broker.arrived) == frames


async def test_a_reset_breaks_whose_connections_are_meant() -> None:
    """They may come again at once."""
    async with broker_behind_proxy() as (_, proxy):
        victim, other = [await FrameClient.connect(proxy, name) for name in (WRITER, "other")]
        for client in (victim, other):
            await client.ask("Heartbeat")
        assert proxy.reset("processor") == [WRITER]
        with pytest.raises(ConnectionResetError):
            await victim.answer()
        await other.ask("Heartbeat")
        await (await FrameClient.connect(proxy, WRITER)).ask("Heartbeat")


async def test_a_lost_answer_was_given() -> None:
    """The broker has done it; the client's connection breaks, or nothing ever comes."""
    async with broker_behind_proxy() as (broker, proxy):
        for cut in (True, False):
            client = await FrameClient.connect(proxy, WRITER)
            rule = proxy.add(Rule(Act.LOSE_ANSWER, "EndTxn", "writer", cut=cut))
            client.send("EndTxn")
            if cut:
                assert await client.is_broken()
            else:
                await asyncio.wait_for(rule.bitten.wait(), 5)
                await client.ask("Produce")
        assert broker.names() == ["EndTxn", "EndTxn", "Produce"]


async def test_a_rule_bites_as_often_as_it_decides() -> None:
    """And is told each time; taken away, it bites no more."""
    async with broker_behind_proxy() as (_, proxy):
        client = await FrameClient.connect(proxy, WRITER)
        turns = iter([True, False, True])
        told: list[int] = []
        rule = Rule(
            Act.WATCH_ANSWER,
            "Produce",
            times=ALWAYS,
            decide=lambda: next(turns),
            on_bite=lambda request: told.append(request.correlation_id),
        )
        proxy.add(rule)
        for _ in range(3):
            await client.ask("Produce")
        proxy.remove(rule)
        await client.ask("Produce")
        assert told == [1, 3]


async def test_a_delayed_answer_holds_up_those_behind_it() -> None:
    """A broker's answers come in their order."""
    async with broker_behind_proxy() as (_, proxy):
        client = await FrameClient.connect(proxy, WRITER)
        proxy.add(Rule(Act.DELAY_ANSWER, "Fetch", delay_ms=100))
        began = time.monotonic()
        client.send("Fetch")
        client.send("Produce")
        assert [await client.answer(), await client.answer()] == [1, 2]
        assert time.monotonic() - began >= 0.1
