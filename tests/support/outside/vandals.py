"""Vandals: they kill and stop what stack.json names, rewind the group and put old commands onto the log again.

In:      the stack, Kafka, the seed; for how long; which strikes, and how often each beside the others.
Out:     what was done (`done`), what could not be done (`failed`), which commands are theirs.
Units:   seconds.
Errors:  none: a strike that fails is told. Whoever was stopped is woken, however it ends.
"""

import asyncio
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from tests.support.outside.contract import command_id, partition
from tests.support.outside.kafka import Kafka, ToAppend
from tests.support.outside.stack import Stack

EVERY_ANSWERS = (20, 260)  # that many answers from one strike to the next: vandals need somebody to disturb
LATEST_S = 4.0
LOOK_EVERY_S = 0.05
STOPPED_S = {"processor": (1.0, 8.0), "gateway": (0.5, 4.0), "ledger": (0.5, 4.0), "broker": (0.5, 6.0)}
STRIKE_S_MAX = 30.0
STRIKES_MAX = 10_000
TRIES, PAUSE_S = 4, 1.5
WEIGHTS = {
    "kill processor": 22,
    "stop processor": 14,
    "kill gateway": 9,
    "stop gateway": 6,
    "kill ledger": 5,
    "stop ledger": 4,
    "kill broker": 3,
    "stop broker": 3,
    "rewind": 12,
    "rewind unstopped": 8,
    "rewind emptied": 3,
    "forward": 3,
    "append": 14,
}
EMPTY_WITHIN_S = 15.0
_READ = 60


@dataclass
class Vandals:
    stack: Stack
    kafka: Kafka
    seed: int
    partitions: int
    tell: Callable[[str], None] = lambda _: None
    weights: dict[str, int] = field(default_factory=lambda: dict(WEIGHTS))
    every_answers: tuple[int, int] = EVERY_ANSWERS

    def __post_init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.appended: Counter[str] = Counter()
        self.minted: set[str] = set()  # command ids that no gateway gave
        self.rewound: list[tuple[int, int, int]] = []  # partition, from, to: [to, from) is delivered again
        self._rng = random.Random(f"{self.seed} vandals")
        self._busy: dict[str, asyncio.Lock] = {}
        self._stopped: set[int] = set()

    async def run(self, for_s: float, answers: Callable[[], int], is_over: Callable[[], bool]) -> None:
        """Each strike once, then by their weights for so long at most or until it `is_over`; all have ended then."""
        ends = time.monotonic() + for_s
        once = [what for what, weight in self.weights.items() if weight]
        self._rng.shuffle(once)
        again = self._rng.choices(list(self.weights), list(self.weights.values()), k=STRIKES_MAX)
        try:
            async with asyncio.TaskGroup() as group:
                for number, what in enumerate(once + again):
                    enough, latest = answers() + self._rng.randint(*self.every_answers), time.monotonic() + LATEST_S
                    while answers() < enough and time.monotonic() < latest:  # noqa: ASYNC110
                        await asyncio.sleep(LOOK_EVERY_S)
                    if number >= len(once) and (time.monotonic() >= ends or is_over()):
                        break
                    group.create_task(self._strike(what, random.Random(self._rng.getrandbits(64))))
        finally:
            for pid in list(self._stopped):
                self._wake(pid)

    async def _strike(self, what: str, rng: random.Random) -> None:
        verb, _, about = what.partition(" ")
        act: Callable[[random.Random, str], Awaitable[None]] = {
            "kill": self._kill,
            "stop": self._stop,
            "rewind": self._rewind,
            "forward": self._forward,
            "append": self._append,
        }[verb]
        async with self._busy.setdefault(
            about if verb in ("kill", "stop") else verb.replace("forward", "rewind"), asyncio.Lock()
        ):
            for _ in range(TRIES):  # another strike may have taken the broker or the victim away
                try:
                    async with asyncio.timeout(STRIKE_S_MAX):
                        await act(rng, about)
                except (KafkaError, OSError, TimeoutError, LookupError) as error:
                    self.failed[f"{what}: {type(error).__name__}"] += 1
                    self.tell(f"{what} failed: {error!r}")
                    await asyncio.sleep(PAUSE_S)
                else:
                    self.done[what] += 1
                    return

    # -- processes -----------------------------------------------------------------------------------------

    async def _kill(self, rng: random.Random, role: str) -> None:
        pid = rng.choice(self.stack.pids(role))
        self.tell(f"SIGKILL {role} {pid}")
        self.stack.signal(pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            while pid in self.stack.pids(role):  # noqa: ASYNC110  another process tells it, in a file
                await asyncio.sleep(0.02)

    async def _stop(self, rng: random.Random, role: str) -> None:
        pid = rng.choice(self.stack.pids(role))
        for_s = rng.uniform(*STOPPED_S[role])
        self.tell(f"SIGSTOP {role} {pid} for {for_s:.1f} s")
        self._halt(pid)
        try:
            await asyncio.sleep(for_s)
        finally:
            self._wake(pid)

    def _halt(self, pid: int) -> None:
        self.stack.signal(pid, signal.SIGSTOP)
        self._stopped.add(pid)

    def _wake(self, pid: int) -> None:
        self._stopped.discard(pid)
        with suppress(ProcessLookupError):
            self.stack.signal(pid, signal.SIGCONT)

    # -- the group's offsets -------------------------------------------------------------------------------

    async def _rewind(self, rng: random.Random, how: str) -> None:
        """Move every partition back, and kill whoever knows better.

        `unstopped`: while all of them work. `emptied`: all of them are stopped until the group has missed them, and
        woken afterwards.
        """
        pids = self.stack.pids("processor")
        try:
            if how != "unstopped":
                for pid in pids:
                    self._halt(pid)
            moved = {}
            for one, offset in (await self.kafka.group_offsets(self.partitions)).items():
                to = 0 if rng.random() < 0.1 else max(0, offset - rng.randint(1, 200))
                if to < offset:
                    moved[one] = to
                    self.rewound.append((one, offset, to))
            if not moved:
                raise LookupError("there was nothing to rewind")
            if how == "emptied":
                await self.kafka.move_empty_group(moved, EMPTY_WITHIN_S)
            else:
                await self.kafka.move_group(moved)
            self.tell(f"rewound {how} to {moved}")
            for pid in pids if how != "emptied" else ():
                with suppress(ProcessLookupError):
                    self.stack.signal(pid, signal.SIGKILL)
                    self._stopped.discard(pid)
        finally:
            for pid in pids:
                if pid in self._stopped:
                    self._wake(pid)

    async def _forward(self, _: random.Random, __: str) -> None:
        """As if everything were done already: below exactly-once that would lose whatever was not."""
        ends = await self.kafka.ends("read_uncommitted", self.partitions)
        moved = {one: ends[self.kafka.where("commands", one)] for one in range(self.partitions)}
        await self.kafka.move_group(moved)
        self.tell(f"moved forward to {moved}")
        for pid in self.stack.pids("processor"):
            with suppress(ProcessLookupError):
                self.stack.signal(pid, signal.SIGKILL)

    # -- the log -------------------------------------------------------------------------------------------

    async def _append(self, rng: random.Random, _: str) -> None:
        """Old commands once more: the same bytes, or asked anew under the same key; and some that nobody may run."""
        ends = await self.kafka.ends("read_uncommitted", self.partitions)
        wanted = {}
        for number in range(self.partitions):
            where = self.kafka.where("commands", number)
            start = rng.randrange(max(1, ends[where] - 5))
            wanted[where] = (start, min(ends[where], start + _READ))
        read = await self.kafka.records("read_uncommitted", wanted)
        old = [record for records in read.values() for record in records]
        rng.shuffle(old)
        if not old:
            raise LookupError("there was no command to append again")
        new = [self._again(rng, record) for record in old[: rng.randint(10, 80)]]
        new += self._keyless(rng) + self._unwanted(rng)
        await self.kafka.append(new, rng.choice((None, "gzip", "lz4")))
        self.tell(f"appended {len(new)} commands, most of them old")

    def _again(self, rng: random.Random, record: ConsumerRecord) -> ToAppend:
        value: bytes = record.value or b""
        kind = rng.choices(("same bytes", "same key, new command", "same command, new key"), (60, 35, 5))[0]
        if kind != "same bytes":
            try:
                command = json.loads(value)
            except ValueError:
                command = {}
            if command.get("idempotency_key") is None:
                kind = "same bytes"
            elif kind == "same key, new command":
                value = self._encoded({**command, **self._minted(rng)})
            else:
                value = self._encoded({**command, "idempotency_key": f"taken-{rng.getrandbits(64):016x}"})
        self.appended[kind] += 1
        return ToAppend(record.partition, record.key or b"", value, tuple(record.headers))

    def _minted(self, rng: random.Random) -> dict[str, object]:
        now_ms = time.time_ns() // 1_000_000
        minted = command_id(now_ms, rng.getrandbits(74))
        self.minted.add(minted)
        return {"command_id": minted, "issued_at": now_ms, "deadline_at": now_ms + 80_000}

    def _keyless(self, rng: random.Random) -> list[ToAppend]:
        """A load generator's commands without a key, each twice: the second is the first delivered again."""
        merchant = rng.choice(sorted(self.stack.api_keys))
        command = {
            "type": "charge.create",
            "merchant_id": merchant,
            "idempotency_key": None,
            "payload": {"amount": rng.randint(1, 9_999), "currency": "eur", "payment_method": "pm_card_visa"},
            **self._minted(rng),
        }
        self.appended["without a key"] += 2
        where = partition(merchant.encode(), self.partitions)
        return [ToAppend(where, merchant.encode(), self._encoded(command))] * 2

    def _unwanted(self, rng: random.Random) -> list[ToAppend]:
        """Not JSON; somebody else's partition."""
        key = rng.choice(sorted(self.stack.api_keys)).encode()
        here = partition(key, self.partitions)
        stray = {"merchant_id": key.decode(), "chance": rng.getrandbits(64)}
        unwanted = [ToAppend(here, key, f"not JSON {rng.getrandbits(64)}".encode())]
        if self.partitions > 1:
            unwanted.append(ToAppend((here + 1) % self.partitions, key, self._encoded(stray)))
        self.appended["nobody may run"] += len(unwanted)
        return unwanted

    @staticmethod
    def _encoded(command: dict[str, object]) -> bytes:
        return json.dumps(command).encode()
