"""What a gateway costs: POST to answer at a steady rate, and the gateway's own CPU in it.

In:      requests a second (100), seconds (20).
Out:     lines of text: p50 and p99 of POSTs and GETs from their planned time, CPU of the gateway process a request.
Units:   milliseconds.

`python -m benchmarks.gateway [RATE] [SECONDS]` starts a whole stack: embedded Kafka, gateway, processor, ledger.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import psutil

from simulator.stack import Stack
from simulator.stack_options import StackOptions

CHARGE = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"}
WARM_UP = 500  # requests, not counted: the first seconds of a stack are its imports and connections

Call = Callable[[int], Awaitable[httpx.Response]]


async def steady(call: Call, rate: float, count: int) -> list[float]:
    """Latencies in ms of `count` calls, each begun at its planned time and measured from it, sorted."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(number: int) -> float:
        planned = began + number / rate
        await asyncio.sleep(max(0.0, planned - loop.time()))
        response = await call(number)
        assert response.status_code < 300, response.text
        return (loop.time() - planned) * 1000

    return sorted(await asyncio.gather(*(one(number) for number in range(count))))


async def measure(stack: Stack, rate: float, seconds: float) -> None:
    gateway = next(psutil.Process(each.pid) for each in stack.processes() if each.role == "gateway")
    merchants = list(stack.api_keys.items())
    count = int(rate * seconds)
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=30) as client:

        def authorized(number: int) -> dict[str, str]:
            return {"authorization": f"Bearer {merchants[number % len(merchants)][1]}"}

        def post(batch: str) -> Call:
            return lambda number: client.post(
                "/v1/charges", json=CHARGE, headers=authorized(number) | {"idempotency-key": f"{batch}-{number}"}
            )

        await steady(post("warm-up"), rate, WARM_UP)
        for name, call in (
            ("POST", post("measured")),
            ("POST, a replay", post("measured")),
            ("GET /v1/balance", lambda number: client.get("/v1/balance", headers=authorized(number))),
        ):
            before, at = sum(gateway.cpu_times()[:2]), time.perf_counter()
            took = await steady(call, rate, count)
            cpu = sum(gateway.cpu_times()[:2]) - before
            sys.stdout.write(
                f"{name}: p50 {took[count // 2]:.1f} ms, p99 {took[count * 99 // 100]:.1f} ms,"
                f" gateway CPU {cpu / count * 1000:.2f} ms/request ({count / (time.perf_counter() - at):.0f}/s)\n"
            )


async def run(rate: float, seconds: float) -> None:
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as folder:
        async with Stack(StackOptions(dir=Path(folder))) as stack:
            await measure(stack, rate, seconds)


if __name__ == "__main__":
    asyncio.run(run(*(float(given) for given in (sys.argv[1:] + ["100", "20"][len(sys.argv) - 1 :])[:2])))
