"""The faults between services and Kafka, carried out in the real proxy between real sockets: each bites, and mends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from events.guarantees import Guarantee
from simulator.faults.base import Fault, Injection, Processes, Scene
from simulator.faults.delay_fetch import DelayFetch
from simulator.faults.late_end_txn import LateEndTxn
from simulator.faults.lose_end_txn_answer import LoseEndTxnAnswer
from simulator.faults.lose_offset_commit_answer import LoseOffsetCommitAnswer
from simulator.faults.lose_produce_answer import LoseProduceAnswer
from simulator.faults.narrow_broker_link import NarrowBrokerLink
from simulator.faults.reset_broker_link import ResetBrokerLink
from simulator.faults.silent_broker_link import SilentBrokerLink
from simulator.faults.slow_broker_link import SlowBrokerLink
from simulator.log_watch import LogWatch
from simulator.proxy.kafka import KafkaProxy
from tests.support.frame_broker import FrameBroker, FrameClient, broker_behind_proxy
from tests.support.victim import injection_of
from tests.support.wait import wait_until

WRITER, READER = "payonce-processor-1234abcd-writer", "payonce-processor-1234abcd-reader"
GATEWAY = "payonce-gateway-5678abcd-commands"


def scene_of(proxy: KafkaProxy, guarantee: Guarantee = Guarantee.EXACTLY_ONCE) -> Scene:
    return Scene(guarantee, cast("Processes", None), (), cast("LogWatch", None), lambda _: None, kafka=proxy)


@asynccontextmanager
async def striking(
    fault: Fault, guarantee: Guarantee = Guarantee.EXACTLY_ONCE
) -> AsyncIterator[tuple[FrameBroker, KafkaProxy, Injection, list[dict[str, Any]]]]:
    """The fault strikes inside; it is cancelled at the end."""
    hits: list[dict[str, Any]] = []
    injection = injection_of(fault, hits.append)
    async with broker_behind_proxy() as (broker, proxy):
        strike = asyncio.create_task(fault.inject(scene_of(proxy, guarantee), injection))
        await asyncio.sleep(0)
        try:
            yield broker, proxy, injection, hits
        finally:
            strike.cancel()
            await asyncio.gather(strike, return_exceptions=True)
            assert (proxy._rules, proxy._conditions) == ([], []), "it left something behind"


@pytest.mark.parametrize(
    "fault",
    [
        SlowBrokerLink(whose="processor", latency="20ms", jitter="0"),
        NarrowBrokerLink(whose="processor", bytes_per_s=5_000),
        SilentBrokerLink(whose="processor"),
    ],
    ids=lambda fault: fault.name,
)
async def test_a_bad_wire_is_told_once_and_mended(fault: Fault) -> None:
    """One hit for a strike that met somebody, with how much; whoever is not meant notices nothing."""
    async with striking(fault) as (_, proxy, injection, hits):
        gateway, writer = await FrameClient.connect(proxy, GATEWAY), await FrameClient.connect(proxy, WRITER)
        await gateway.ask("Produce", bytes(500))
        began = asyncio.get_running_loop().time()
        writer.send("Produce", bytes(500))
        condition = proxy._conditions[0]
        await wait_until(lambda: condition.frames, timeout_s=5, message="nothing came")
        if not condition.silent:
            await writer.answer()
            assert asyncio.get_running_loop().time() - began >= 0.04
        assert injection.hits == 0
    assert injection.hits == 1
    assert hits[0]["clients"] == 1
    assert hits[0]["bytes"] > 500


async def test_a_wire_that_nobody_used_was_not_bitten() -> None:
    """What met no traffic proves nothing."""
    async with striking(SlowBrokerLink()) as (_, _, injection, _):
        pass
    assert injection.hits == 0


@pytest.mark.parametrize(
    ("fault", "guarantee", "request_name", "client_id"),
    [
        (LoseProduceAnswer(share=0.0), Guarantee.EXACTLY_ONCE, "Produce", GATEWAY),
        (LoseProduceAnswer(share=0.0, whose="processor"), Guarantee.AT_LEAST_ONCE, "Produce", WRITER),
        (LoseOffsetCommitAnswer(share=0.0), Guarantee.EXACTLY_ONCE, "TxnOffsetCommit", WRITER),
        (LoseOffsetCommitAnswer(share=0.0), Guarantee.DEDUPLICATED, "OffsetCommit", WRITER),
        (LoseEndTxnAnswer(share=0.0), Guarantee.EXACTLY_ONCE, "EndTxn", WRITER),
    ],
)
async def test_the_first_answer_that_passes_is_lost(
    fault: Fault, guarantee: Guarantee, request_name: str, client_id: str
) -> None:
    """The broker has done it; other requests are answered, and with a share of 0 all later ones."""
    async with striking(fault, guarantee) as (broker, proxy, injection, hits):
        client = await FrameClient.connect(proxy, client_id)
        await client.ask("Heartbeat")
        client.send(request_name)
        assert await client.is_broken()
        assert broker.names() == ["Heartbeat", request_name]
        assert hits == [{"request": request_name, "client": client_id, "number": 2}]
        again = await FrameClient.connect(proxy, client_id)
        for _ in range(5):
            await again.ask(request_name)
        assert injection.hits == 1


async def test_late_fetches_are_counted() -> None:
    """Those of the clients that are meant; nobody else's."""
    async with striking(DelayFetch(delay="50ms")) as (_, proxy, _, hits):
        reader = await FrameClient.connect(proxy, READER)
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await reader.ask("Fetch")
        assert asyncio.get_running_loop().time() - began >= 0.15
        await (await FrameClient.connect(proxy, GATEWAY)).ask("Fetch")
    assert hits == [{"answers": 3, "clients": 1, "delay_ms": 50.0}]


async def test_every_reset_is_told() -> None:
    """With how many connections it broke; one that met none is not a bite."""
    fault = ResetBrokerLink(times=3, pause="100ms")
    hits: list[dict[str, Any]] = []
    async with broker_behind_proxy() as (_, proxy):
        clients = [await FrameClient.connect(proxy, name) for name in (WRITER, READER, GATEWAY)]
        for client in clients:
            await client.ask("Heartbeat")
        await fault.inject(scene_of(proxy), injection_of(fault, hits.append))
        assert hits == [{"connections": 3, "clients": 3}]
        for client in clients:
            assert await client.is_broken()


async def test_a_late_end_arrives_while_the_next_transaction_is_open() -> None:
    """Behind the next transaction's Produce, before its own EndTxn; the broker's answer to it is the proof."""
    async with striking(LateEndTxn(open_for="2s")) as (broker, proxy, _, hits):
        broker.payload = b"\0\0\0\0\0\x30"  # no throttling; error 48
        first = await FrameClient.connect(proxy, WRITER)
        await first.ask("Produce")
        first.send("EndTxn")
        assert await first.is_broken()
        again = await FrameClient.connect(proxy, WRITER)
        await wait_until(lambda: len(proxy._rules) == 2, timeout_s=5, message="the next transaction is not watched")
        await again.ask("Produce")
        again.send("EndTxn")
        await wait_until(lambda: hits, timeout_s=5, message="it was not delivered")
        assert broker.names() == ["Produce", "Produce", "EndTxn"]
        assert broker.arrived[2].correlation_id == 2
    assert hits == [{"client": WRITER, "late_end_txn": "refused", "error": "invalid_txn_state", "error_code": 48}]
