"""What three times the most that a whole stack can do makes of it: as many payments as before, and quick refusals.

In:      --first, the rate to begin the search with; --step and --seconds, how long each rate of the search and the
         overload last; --times, how often the maximum is offered; --p99 and --deadline.
Out:     a line for each rate: goodput, refusals, latencies; for the overload also what a process of its own saw, that
         asks fifty times a second; then how much of the goodput at the maximum is left.
Units:   payments per second; seconds; milliseconds from the planned instant.
Errors:  exit code 1 where less than nine tenths are left, or a refusal came without Retry-After.

`python -m benchmarks.overload` starts embedded Kafka, gateway, processor and ledger. The maximum is found by the search
behind `payonce simulate --find-max`: the highest rate at which 99 in 100 are paid within --p99, three times. Customers
come by plan, ask once, and go away after --deadline. Goodput is what was paid by then. All of it shares this machine.
Beyond some thousand customers a second the load is late itself, and what it says of latencies is about itself; the
other process has next to nothing to do, and asks in turns over a connection that it has and over a new one.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple, Self

import psutil
import uvloop

from simulator.open_files import allow_open_files
from simulator.stack import Stack
from simulator.stack_options import StackOptions
from simulator.workload.http_client import HttpClient, NotSentError, OutcomeUnknownError
from simulator.workload.load import Door
from simulator.workload.rare_gc import rare_collection
from simulator.workload.search import search

BODY: Final = b'{"amount":2000,"currency":"eur","payment_method":"pm_card_visa"}'
LEFT_LEAST: Final = 0.9  # of the goodput at the maximum
LATE_MS_MAX: Final = 50.0  # one customer in a hundred: beyond it the figures are about this program
AT_ONCE: Final = 16  # customers let in before answers are looked at again
STEPS_MAX: Final = 14
REST_S: Final = 1.0
PAID: Final = 201
REFUSED: Final = 503
OUTSIDE_EVERY_S: Final = 0.02
OUTSIDE_PATIENCE_MS: Final = 10_000.0


@dataclass
class Offered:
    """What became of one rate's customers."""

    rate: float
    seconds: float
    paid_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)  # of the customers' own beginning
    others: dict[str, int] = field(default_factory=dict)
    without_retry_after: int = 0
    came_in_s: float = 0.0  # longer than `seconds` where this program is too slow
    gateway_mib: float = 0.0
    cores: dict[str, float] = field(default_factory=dict)  # used by each process until the last customer had come

    @property
    def goodput(self) -> float:
        return len(self.paid_ms) / self._took_s

    @property
    def _took_s(self) -> float:
        return max(self.seconds, self.came_in_s)

    def held(self, p99_ms: float) -> bool:
        return self.kept_up and not self.refused_ms and not self.others and _p(self.paid_ms, 0.99) < p99_ms

    @property
    def kept_up(self) -> bool:
        return _p(self.late_ms, 0.99) < LATE_MS_MAX

    def __str__(self) -> str:
        refused_p99 = _p(self.refused_ms, 0.99)
        parts = [
            f"{self.rate:,.0f}/s planned, {self.rate * self.seconds / self._took_s:,.0f}/s came",
            f"paid {self.goodput:,.0f}/s (p50 {_p(self.paid_ms, 0.5):,.0f}, p99 {_p(self.paid_ms, 0.99):,.0f} ms)",
            f"refused {len(self.refused_ms):,} (p50 {_p(self.refused_ms, 0.5):,.1f}, p99 {refused_p99:,.0f} ms)",
            f"{self.without_retry_after} of them without Retry-After",
            *(f"{count:,} {name}" for name, count in sorted(self.others.items())),
            f"gateway {self.gateway_mib:.0f} MiB",
            f"cores: {', '.join(f'{role} {used:.2f}' for role, used in self.cores.items())}",
            *([] if self.kept_up else ["THE LOAD DID NOT KEEP UP"]),
        ]
        return "; ".join(parts)


class Outsider:
    """`async with Outsider(url, api_key) as outsider: …`, then `str(outsider)`: with all the time in the world."""

    def __init__(self, url: str, api_key: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_ask_now_and_then, args=(url, api_key, theirs), daemon=True)
        self._told: list[Asked] = []

    async def __aenter__(self) -> Self:
        self._process.start()
        await asyncio.to_thread(self._pipe.recv)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pipe.send("enough")
        self._told = await asyncio.to_thread(self._pipe.recv)
        self._process.join()

    def __str__(self) -> str:
        parts = [f"beside it, late itself by p99 {_p([one.late_ms for one in self._told], 0.99):,.0f} ms"]
        for way in Way:
            asked = [one for one in self._told if one.way is way]
            refused = [one.took_ms for one in asked if one.status == REFUSED]
            others = [one for one in asked if one.status not in (PAID, REFUSED)]
            parts.append(
                f"{way}: {len(refused)} of {len(asked)} refused (p50 {_p(refused, 0.5):,.0f}, p99"
                f" {_p(refused, 0.99):,.0f} ms), {len(others)} without an answer"
            )
        return "; ".join(parts)


class Way(StrEnum):
    KEPT = "over a connection it has"
    NEW = "over a new one"


class Asked(NamedTuple):
    way: Way
    status: int  # 0: no answer
    late_ms: float
    took_ms: float  # from the planned time


def _ask_now_and_then(url: str, api_key: str, parent: Connection) -> None:
    uvloop.run(_outside(url, api_key, parent))


async def _outside(url: str, api_key: str, parent: Connection) -> None:
    client, asked, enough = Door.at("gateway", url).client, list[Asked](), asyncio.Event()

    async def ask(number: int, due: float) -> None:
        late_ms, way = (time.monotonic() - due) * 1_000.0, list(Way)[number % len(Way)]
        headers = _headers(api_key, f"outside-{number}")
        try:
            answer = await client.request(
                "POST", "/v1/charges", headers, BODY, patience_ms=OUTSIDE_PATIENCE_MS, fresh=way is Way.NEW
            )
        except (NotSentError, OutcomeUnknownError):
            status = 0
        else:
            status = answer.status
        asked.append(Asked(way, status, late_ms, (time.monotonic() - due) * 1_000.0))

    asyncio.get_running_loop().add_reader(parent.fileno(), enough.set)
    parent.send("ready")
    async with asyncio.TaskGroup() as present:
        began, number = time.monotonic(), 0
        while not enough.is_set():
            due = began + number * OUTSIDE_EVERY_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            present.create_task(ask(number, due))
            number += 1
    parent.send(asked)


def _headers(api_key: str, idempotency_key: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {api_key}",
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key,
    }


class Customers:
    """Everybody of one stack: each pays once, under a key of its own."""

    def __init__(self, stack: Stack, deadline_s: float) -> None:
        self._client: HttpClient = Door.at("gateway", stack.gateway_url).client
        self._keys = list(stack.api_keys.values())
        self._processes = {each.role: psutil.Process(each.pid) for each in stack.processes()}
        self._processes["load"] = psutil.Process()
        self._deadline_ms = deadline_s * 1_000.0
        self._number = 0

    @classmethod
    def of(cls, stack: Stack, deadline_s: float) -> Self:
        allow_open_files()
        return cls(stack, deadline_s)

    async def offer(self, rate: float, seconds: float) -> Offered:
        """`rate` a second, whatever the answers; returns when the last has been answered or gone."""
        offered = Offered(rate, seconds)
        present: set[asyncio.Task[None]] = set()
        began, before = time.monotonic(), self._cpu_s()
        with rare_collection():
            for number in range(int(rate * seconds)):
                due = began + number / rate
                wait_s = due - time.monotonic()
                if wait_s > 0 or number % AT_ONCE == 0:
                    await asyncio.sleep(max(0.0, wait_s))
                task = asyncio.create_task(self._pay(due, offered))
                present.add(task)
                task.add_done_callback(present.discard)
            offered.came_in_s, after = time.monotonic() - began, self._cpu_s()
            offered.cores = {role: (after[role] - before[role]) / offered.came_in_s for role in after}
            offered.gateway_mib = self._processes["gateway"].memory_info().rss / 2**20
            while present:
                await asyncio.wait(present)
        return offered

    def _cpu_s(self) -> dict[str, float]:
        return {role: sum(process.cpu_times()[:2]) for role, process in self._processes.items()}

    async def _pay(self, due: float, offered: Offered) -> None:
        self._number += 1
        headers = _headers(self._keys[self._number % len(self._keys)], f"overload-{self._number}")
        late_ms = (time.monotonic() - due) * 1_000.0
        offered.late_ms.append(late_ms)
        try:
            answer = await self._client.request(
                "POST", "/v1/charges", headers, BODY, patience_ms=max(1.0, self._deadline_ms - late_ms)
            )
        except (NotSentError, OutcomeUnknownError) as error:
            name = "gave up" if getattr(error, "timed_out", False) else f"without an answer ({error})"
            offered.others[name] = offered.others.get(name, 0) + 1
            return
        took_ms = (time.monotonic() - due) * 1_000.0
        if answer.status < 300:
            offered.paid_ms.append(took_ms)
        elif answer.status == REFUSED:
            offered.refused_ms.append(took_ms)
            offered.without_retry_after += "retry-after" not in answer.headers
        else:
            name = f"of status {answer.status}"
            offered.others[name] = offered.others.get(name, 0) + 1


async def measure(stack: Stack, options: argparse.Namespace) -> bool:
    customers = Customers.of(stack, options.deadline)
    await customers.offer(options.first, 2 * options.step)  # connections, and a Java that is warm
    best: list[Offered] = []
    trying = search(options.first, STEPS_MAX)
    rate = next(trying)
    while True:
        step = await customers.offer(rate, options.step)
        await asyncio.sleep(REST_S)
        held = step.held(options.p99)
        _say(f"{step}: {'held' if held else 'did not hold'}")
        best += [step] if held else []
        try:
            rate = trying.send(held)
        except StopIteration as over:
            found = over.value
            break
    if found.rate is None:
        _say(f"No rate was found at which 99 in 100 are paid within {options.p99:g} ms.")
        return False
    at_most = max(step.goodput for step in best if step.rate == found.rate)
    async with Outsider(stack.gateway_url, next(iter(stack.api_keys.values()))) as outsider:
        overload = await customers.offer(options.times * found.rate, options.seconds)
    _say(f"overload {overload}")
    _say(f"  {outsider}")
    left = overload.goodput / at_most
    await asyncio.sleep(REST_S)
    _say(f"afterwards {await customers.offer(found.rate / 2, options.step)}")
    _say(f"the most: {found.rate:,.0f}/s; {left:.2f} of its goodput is left at {options.times:g} times as many")
    return left >= LEFT_LEAST and not overload.without_retry_after


async def run(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as folder:
        async with Stack(StackOptions(dir=Path(folder))) as stack:
            return await measure(stack, options)


def _p(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=float, default=200.0)
    parser.add_argument("--step", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--times", type=float, default=3.0)
    parser.add_argument("--p99", type=float, default=150.0)
    parser.add_argument("--deadline", type=float, default=2.0)
    return 0 if uvloop.run(run(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
