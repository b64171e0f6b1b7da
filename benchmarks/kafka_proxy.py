"""What the proxy between services and Kafka costs: commands a second through it, and answers at a steady rate.

In:      --commands N, --rate PER_S, --seconds S.
Out:     one JSON line for each way: `direct`; `proxy` with nothing to do; `rule`, where every request is looked at.
         On a busy machine only the CPU seconds can be compared.
Units:   milliseconds where a name ends _ms.

`python -m benchmarks.kafka_proxy` starts an embedded Kafka and a processor for each way to measure commands a second,
and a whole stack for the latencies. The proxy runs in this process, as it does in a simulation.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.gateway import Payer, steady
from benchmarks.throughput import measure
from simulator.broker.embedded import EmbeddedBroker
from simulator.place import own_place
from simulator.proxy.kafka import ALWAYS, Act, KafkaProxy, Rule, listen
from simulator.stack_options import StackOptions
from tests.support.frame_broker import FrameClient, broker_behind_proxy

WAYS = ("direct", "proxy", "rule")
WARM_UP = 500  # requests, not counted: the first seconds of a stack are its imports and connections


def watch(proxy: KafkaProxy | None, way: str) -> None:
    """A rule that could bite anybody at any moment, and never does."""
    if proxy is not None and way == "rule":
        proxy.add(Rule(Act.WATCH_ANSWER, "EndTxn", "nobody", times=ALWAYS))


async def throughput(way: str, folder: Path, commands: int) -> dict[str, Any]:
    with ExitStack() as opened:
        listening = opened.enter_context(listen())
        host, port = listening.getsockname()
        broker = EmbeddedBroker(folder / "kafka", proxy_address=f"{host}:{port}")
        opened.callback(broker.close)
        opened.callback(broker.kill)
        await asyncio.to_thread(broker.start)
        proxy = KafkaProxy(lambda: broker.proxied_upstream, listening)
        await proxy.start()
        watch(proxy, way)
        options = argparse.Namespace(
            commands=commands, partitions=4, merchants=64, guarantee="exactly-once", verbose=False
        )
        through = broker.bootstrap_servers if way == "direct" else proxy.address
        # On a thread of its own: it waits for its processor without letting anybody else run.
        before = time.thread_time()
        found = await asyncio.to_thread(asyncio.run, measure(through, folder, options))
        cpu_s = time.thread_time() - before  # of the proxy alone: this thread does nothing else
        await proxy.close()
    said = {name: found[name] for name in ("commands_per_second", "processor_cpu_seconds")}
    return said | {"proxy_cpu_seconds": round(cpu_s, 2)}


async def latency(way: str, folder: Path, rate: float, seconds: float) -> dict[str, Any]:
    options = StackOptions(dir=folder)
    async with own_place(options, lambda _: None, lambda _: None, kafka_link=way != "direct") as place:
        watch(place.kafka_proxy, way)
        count = int(rate * seconds)
        payer = Payer(place.gateway_urls[0], place.api_keys)
        await steady(payer.posts("warm-up"), rate, WARM_UP)
        took = sorted(one.took_ms for one in await steady(payer.posts("measured"), rate, count))
        payer.close()
    return {"p50_ms": round(took[count // 2], 1), "p99_ms": round(took[count * 99 // 100], 1)}


async def round_trips(way: str, count: int) -> dict[str, Any]:
    """Small requests one after the other to a broker that knows only frames: what the way itself takes."""
    async with broker_behind_proxy() as (broker, proxy):
        watch(proxy, way)

        async def ask() -> list[float]:
            address = broker.address if way == "direct" else proxy.address
            client = await FrameClient.connect(address, "payonce-processor-1-writer")
            took = []
            for _ in range(count):
                began = time.perf_counter()
                await client.ask("Produce", bytes(300))
                took.append(time.perf_counter() - began)
            return sorted(took)

        took = await ask()
    return {"round_trip_us": round(took[count // 2] * 1e6), "round_trip_us_min": round(took[0] * 1e6)}


async def run(options: argparse.Namespace) -> None:
    for way in WAYS:
        found: dict[str, Any] = {"way": way} | await round_trips(way, 5_000)
        with tempfile.TemporaryDirectory(prefix="payonce-bench-") as folder:
            found |= await throughput(way, Path(folder), options.commands)
        with tempfile.TemporaryDirectory(prefix="payonce-bench-") as folder:
            found |= await latency(way, Path(folder), options.rate, options.seconds)
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=60_000)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=15.0)
    asyncio.run(run(parser.parse_args()))
