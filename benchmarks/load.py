"""How many requests a second one load process makes, history and figures included.

In:      --seconds, --rates (ascending), --stack for a whole payment system instead of the cheapest honest server,
         --outage for that many seconds in the middle in which the server stands still, or the stack's broker is dead.
Out:     one line a rate: requests a second, the load process's CPU a request, latencies, and whether it kept up; with
         a whole stack also what each of its processes needed for a request.
Units:   per second; microseconds of CPU; milliseconds.

`python -m benchmarks.load` plans the checkout's customers and lets them in against a server, in a process of its own,
that reads each request and answers 201 at once; so whatever is slow is the load generator. With `--stack` the same
customers meet an embedded Kafka, a gateway, a processor and a ledger, on the same machine.
"""

import argparse
import asyncio
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import httptools
import psutil
import uvloop

from simulator.history import HistoryWriter
from simulator.scenario.models import Load as PlannedLoad
from simulator.scenario.models import Stage
from simulator.stack import Stack
from simulator.stack_options import StackOptions
from simulator.workload.latency_log import LatencyLog
from simulator.workload.load import Door, Load, now_ms
from simulator.workload.plan import merchant_names, plan_purchases
from simulator.workload.summary import load_summary

MERCHANTS = 8
ANSWER = b'{"amount":2000,"currency":"eur","id":"ch_%032d","object":"charge","status":"succeeded"}'


Outage = Callable[[float], Awaitable[None]]  # for so many seconds
Spent = Callable[[], dict[str, float]]  # seconds of CPU so far, by role
Place = tuple[list[str], dict[str, str], Outage, Spent]


class _Server(asyncio.Protocol):
    """Reads whole requests, and answers each with a charge of its own number."""

    asked = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        _Server.asked += 1
        body = ANSWER % _Server.asked
        self.transport.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )


def _serve(ready: Connection) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0, backlog=2048)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(forever())


@asynccontextmanager
async def cheapest_server() -> AsyncIterator[Place]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()

    async def stand_still(outage_s: float) -> None:
        assert server.pid is not None, "started above"
        os.kill(server.pid, signal.SIGSTOP)
        await asyncio.sleep(outage_s)
        os.kill(server.pid, signal.SIGCONT)

    try:
        port = await asyncio.to_thread(ours.recv)
        api_keys = {name: f"key_{name}" for name in merchant_names(MERCHANTS)}
        yield [f"http://127.0.0.1:{port}"], api_keys, stand_still, dict
    finally:
        server.kill()
        server.join()


@asynccontextmanager
async def whole_stack() -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as folder:
        async with Stack(StackOptions(dir=Path(folder))) as stack:

            async def without_broker(outage_s: float) -> None:
                await stack.kill("broker", 0, restart_after_s=outage_s)

            def spent() -> dict[str, float]:
                return {each.role: sum(psutil.Process(each.pid).cpu_times()[:2]) for each in stack.processes()}

            yield stack.gateway_urls, stack.api_keys, without_broker, spent


async def measure(place: Place, rate: float, seconds: float, outage_s: float, folder: Path) -> str:
    """`rate` is of purchases; each makes a request and a half."""
    urls, api_keys, outage, spent = place
    planned = PlannedLoad(stages=(Stage(for_=f"{seconds * 1_000:.0f}ms", rate=rate),))
    purchases = plan_purchases(1, planned, sorted(api_keys), salt=f"{now_ms():x}-")
    doors = [Door.at(f"gateway {index}", url) for index, url in enumerate(urls)]
    with (
        HistoryWriter(folder / "history.jsonl") as history,
        LatencyLog(folder / "latency.hlog", now_ms()) as latency_log,
    ):
        load = Load(1, doors, api_keys, history.write, warm_up_s=min(2.0, seconds / 4))
        load.tally.latencies.on_second = latency_log.write
        began, cpu, before = time.perf_counter(), time.process_time(), spent()
        running = asyncio.create_task(load.run(purchases, grace_s=30.0))
        if outage_s:
            await asyncio.sleep((seconds - outage_s) / 2)
            await outage(outage_s)
        await running
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        after = spent()
    told, attempts = load_summary(load.tally), load.tally.attempts
    by_role = "".join(f", {role} {(after[role] - before[role]) / attempts * 1e6:.0f}" for role in before)
    fresh, service = told["latency_ms_by_outcome"]["fresh"], told["service_ms_by_outcome"]["fresh"]
    return (
        f"{rate:g} purchases/s: {attempts / took:,.0f} requests/s, {cpu / attempts * 1e6:.0f} us of CPU each"
        f" ({cpu / took:.0%} of a core){by_role}; fresh from plan p50 {fresh['p50']:.1f} ms, p99 {fresh['p99']:.1f} ms,"
        f" from send p50 {service['p50']:.1f} ms, p99 {service['p99']:.1f} ms; late {told['arrivals']['late']:,},"
        f" dropped {told['arrivals']['dropped']:,}, answered {told['answered']:,} of {told['intents']:,};"
        f" {'kept up' if told['generator']['kept_up'] else 'DID NOT KEEP UP'}"
    )


async def run(rates: list[float], seconds: float, outage_s: float, stack: bool) -> None:
    async with whole_stack() if stack else cheapest_server() as place:
        for rate in rates:
            with tempfile.TemporaryDirectory(prefix="payonce-bench-") as folder:
                line = await measure(place, rate, seconds, outage_s, Path(folder))
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[500.0, 1_000.0, 1_500.0, 2_000.0])
    parser.add_argument("--outage", type=float, default=0.0)
    parser.add_argument("--stack", action="store_true")
    parser.add_argument("--asyncio", action="store_true", help="Python's own event loop instead of uvloop.")
    options = parser.parse_args()
    runner = asyncio.run if options.asyncio else uvloop.run
    runner(run(options.rates, options.seconds, options.outage, options.stack))


if __name__ == "__main__":
    main()
