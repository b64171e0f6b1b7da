"""What a payment over HTTP costs: POST to answer at a steady rate, where its time goes, and each process's CPU in it.

In:      --rate, requests a second; --seconds of each measurement; --warm-up, seconds of the same before it.
Out:     lines of text: p50 and p99 of POSTs, replays and GETs from their planned time, CPU of every process a request;
         of the POSTs also how long each stage took, by the timestamps on the log.
Units:   milliseconds; microseconds of CPU.

`python -m benchmarks.gateway` starts a whole stack: embedded Kafka, gateway, processor, ledger. The client is the load
generator's own, which needs 0.2 ms of CPU a call where httpx needs 1.5: on two cores what it uses is missing elsewhere.
It says how late it began itself. A Java that has just started compiles for some seconds; the warm-up is for that, and
is not counted.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import psutil
import uvloop

from simulator.log_reader import LogReader
from simulator.stack import Stack
from simulator.stack_options import StackOptions
from simulator.workload.http_client import Answer
from simulator.workload.load import Door
from simulator.workload.rare_gc import rare_collection

CHARGE: Final = b'{"amount":1000,"currency":"usd","payment_method":"pm_card_visa"}'
PATIENCE_MS: Final = 30_000.0
HALF_MS: Final = 0.5  # timestamps on the log are whole milliseconds, cut off

Call = Callable[[int], Awaitable[Answer]]


class Told(NamedTuple):
    """One call, by the wall clock."""

    began_ms: float
    late_ms: float  # after its plan
    answered_ms: float

    @property
    def took_ms(self) -> float:
        """From the planned time."""
        return self.late_ms + self.answered_ms - self.began_ms


class Payer:
    """Asks one gateway, each call under the key of another merchant."""

    def __init__(self, url: str, api_keys: Mapping[str, str]) -> None:
        self._client = Door.at("gateway", url).client
        self._authorized = [{"Authorization": f"Bearer {key}"} for key in api_keys.values()]

    def posts(self, batch: str) -> Call:
        """Charges under idempotency keys of this batch: the same batch once more is replayed."""

        async def post(number: int) -> Answer:
            headers = self._headers(number) | {
                "Content-Type": "application/json",
                "Idempotency-Key": f"{batch}-{number}",
            }
            return await self._client.request("POST", "/v1/charges", headers, CHARGE, patience_ms=PATIENCE_MS)

        return post

    async def balance(self, number: int) -> Answer:
        return await self._client.request("GET", "/v1/balance", self._headers(number), patience_ms=PATIENCE_MS)

    def close(self) -> None:
        self._client.close()

    def _headers(self, number: int) -> dict[str, str]:
        return self._authorized[number % len(self._authorized)]


async def steady(call: Call, rate: float, count: int) -> list[Told]:
    """`count` calls, each begun at its planned time, whatever became of the others; in their order."""
    told: list[Told] = []

    async def one(number: int, late_ms: float) -> None:
        at_ms = time.time() * 1000
        answer = await call(number)
        assert answer.status < 300, answer
        told.append(Told(at_ms, late_ms, time.time() * 1000))

    async with asyncio.TaskGroup() as present:
        began = time.monotonic()
        for number in range(count):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            present.create_task(one(number, (time.monotonic() - due) * 1000))
    return sorted(told)


def figures(took: list[float]) -> str:
    ordered = sorted(took)
    return f"p50 {ordered[len(ordered) // 2]:.1f} ms, p99 {ordered[len(ordered) * 99 // 100]:.1f} ms"


async def measure(stack: Stack, rate: float, seconds: float, warm_up_s: float) -> None:
    count = int(rate * seconds)
    payer = Payer(stack.gateway_url, stack.api_keys)
    with rare_collection():
        await steady(payer.posts("warm-up"), rate, int(rate * warm_up_s))
        for name, call in (
            ("POST", payer.posts("measured")),
            ("POST, a replay", payer.posts("measured")),
            ("GET /v1/balance", payer.balance),
        ):
            before, began = cpu_s(stack), time.perf_counter()
            told = await steady(call, rate, count)
            after, span_s = cpu_s(stack), time.perf_counter() - began
            used = {role: (after[role] - before[role]) / count * 1e6 for role in after}
            _say(
                f"{name}: {figures([one.took_ms for one in told])} (began late: "
                f"{figures([one.late_ms for one in told])}); CPU a request, us: "
                + ", ".join(f"{role} {spent:.0f}" for role, spent in used.items())
                + f"; cores in use {sum(used.values()) * count / 1e6 / span_s:.2f}; {count / span_s:.0f}/s"
            )
            if name == "POST":
                _say(await stages(stack, told))
    payer.close()


def cpu_s(stack: Stack) -> dict[str, float]:
    """So far, by role; the load is this process."""
    used = {each.role: 0.0 for each in stack.processes()}
    for each in stack.processes():
        used[each.role] += sum(psutil.Process(each.pid).cpu_times()[:2])
    return used | {"load": time.process_time()}


async def stages(stack: Stack, told: list[Told]) -> str:
    """How long on average until a command was on the log, until its Kafka transaction began, until the answer."""
    written, begun = await _timestamps(stack, "commands"), await _timestamps(stack, "replies")
    sums = [sum(one.began_ms for one in told), sum(written), sum(begun), sum(one.answered_ms for one in told)]
    assert len(told) == len(written) == len(begun), "the log holds other payments, too"
    to_log, to_begin, to_answer = (
        (until - since) / len(told) + shift
        for (since, until), shift in zip(pairwise(sums), (HALF_MS, 0.0, -HALF_MS), strict=True)
    )
    return (
        f"  mean stages: {to_log:.1f} ms until the command is on the log, {to_begin:.1f} until its Kafka transaction"
        f" begins, {to_answer:.1f} until that is committed, read and answered"
    )


async def _timestamps(stack: Stack, topic: str) -> list[int]:
    """Of the measured payments: commands' by the broker when it appends, replies' by the processor when it begins."""
    found: list[int] = []
    async with LogReader(stack.connection, stack.namespace) as log:
        for partition in range(stack.options.partitions):
            async for entries in log.read(topic, partition):
                for entry in entries:
                    key = orjson.loads(entry.value or b"{}").get("idempotency_key") or ""
                    found += [entry.timestamp] if key.startswith("measured-") else []
    return found


async def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as folder:
        async with Stack(StackOptions(dir=Path(folder))) as stack:
            await measure(stack, options.rate, options.seconds, options.warm_up)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--warm-up", type=float, default=5.0)
    uvloop.run(run(parser.parse_args()))
