"""The customers of one run in several processes: a load that one core cannot make.

In:      a LoadOrder, how many processes, a directory.
Out:     as `OwnCustomers`: one tally, one latency.hlog, one history, each the sum of the parts.
Units:   seconds.
Errors:  Failure, one sentence, when a load process ends before its time.

Each process plans its own part (by purchase number), writes its own history and latency log, and sends its tally at the
end; they begin at one instant of the machine's monotonic clock. The parts are merged by instant when all have gone.
A process whose parent is gone ends by itself.
"""

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import uvloop

from simulator.failure import Failure
from simulator.history import HistoryWriter, merge_histories
from simulator.open_files import allow_open_files
from simulator.workload import latency_log
from simulator.workload.latency_log import merge_latency_logs
from simulator.workload.load import now_ms
from simulator.workload.order import LoadOrder, OwnCustomers
from simulator.workload.tally import Tally

START_S: Final = 60.0  # imports and planning
BEGIN_IN_S: Final = 0.3  # time for the word to reach everybody
STOP_S: Final = 20.0  # to write down who was sent away
TELL_EVERY_S: Final = 0.5


class ManyCustomers:
    """`async with ManyCustomers(order, 4, directory) as customers: …`; then `merge` its files into the run's own."""

    def __init__(self, order: LoadOrder, count: int, directory: Path) -> None:
        self.tally = Tally(warm_up_s=order.load.warm_up)
        self._directory = directory
        self._parts = [_Part(replace(order, part=number, parts=count), directory) for number in range(count)]
        self._began_ms = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in self._parts:
            part.kill()

    async def prepare(self) -> None:
        for part in self._parts:
            part.start()
        await asyncio.gather(*(part.hear("ready", START_S) for part in self._parts))

    async def run(self) -> None:
        allow_open_files()  # the faults' proxies stay in this process
        began = time.monotonic() + BEGIN_IN_S
        self._began_ms = now_ms() + round(BEGIN_IN_S * 1_000)
        for part in self._parts:
            part.say(("begin", began, self._began_ms))
        telling = asyncio.create_task(self._tell())
        try:
            tallies = await asyncio.gather(*(part.hear("done", None) for part in self._parts))
        except asyncio.CancelledError:
            for part in self._parts:
                part.say(("stop",))
            self._add(await asyncio.gather(*(part.hear("done", STOP_S) for part in self._parts)))
            raise
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        self._add(tallies)

    async def _tell(self) -> None:
        """A live sum for whoever shows progress."""
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            self.tally.intents = sum(part.seen.get("intents", 0) for part in self._parts)
            self.tally.settled = sum(part.seen.get("settled", 0) for part in self._parts)

    def _add(self, tallies: list[Any]) -> None:
        whole, *others = map(Tally.from_json, tallies)
        for other in others:
            whole.add(other)
        self.tally = whole

    def merge(self, history: Path) -> None:
        """The parts' files into the run's; `history` has the run's own lines so far."""
        merge_histories(history, [part.history for part in self._parts])
        logs = [part.latency_log for part in self._parts]
        merge_latency_logs(logs, self._directory / latency_log.FILE, self._began_ms)
        for part in self._parts:
            part.history.unlink()
            part.latency_log.unlink()


class _Part:
    """The parent's side of one load process."""

    def __init__(self, order: LoadOrder, directory: Path) -> None:
        self.history = directory / f"load-{order.part}.jsonl"
        self.latency_log = directory / f"load-{order.part}.hlog"
        self.seen: Mapping[str, int] = {}
        self._order = order
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        for old in (self.history, self.latency_log):
            old.unlink(missing_ok=True)
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_be_customers, args=(self._order, self.history, self.latency_log, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def say(self, word: tuple[Any, ...]) -> None:
        assert self._pipe is not None, "not started"
        try:
            self._pipe.send(word)
        except OSError:
            return  # it is gone; whoever listens to it is told

    async def hear(self, wanted: str, timeout_s: float | None) -> Any:
        """What comes with this word; words of progress are taken on the way."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    word, said = await self._next()
                    if word == wanted:
                        return said
                    if word == "failed":
                        raise Failure(str(said))
                    self.seen = said
        except TimeoutError:
            raise Failure(f"A load process was not {wanted} within {timeout_s:g} s.") from None

    async def _next(self) -> Any:
        assert self._pipe is not None, "not started"
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._pipe.fileno(), readable.set)
        try:
            await readable.wait()
            return self._pipe.recv()
        except EOFError:
            raise Failure("A load process ended before its time.") from None
        finally:
            loop.remove_reader(self._pipe.fileno())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()


# -- in the load process ---------------------------------------------------------------------------------------


def _be_customers(order: LoadOrder, history: Path, latency_log: Path, parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when to stop
    try:
        uvloop.run(_serve(order, history, latency_log, parent))
    except Failure as failure:
        parent.send(("failed", str(failure)))
    except (EOFError, ConnectionError):
        return  # nobody is interested any more


async def _serve(order: LoadOrder, history_path: Path, log_path: Path, parent: Connection) -> None:
    loop = asyncio.get_running_loop()
    with HistoryWriter(history_path) as history:
        async with OwnCustomers(order, history, log_path.parent, log_path.name) as customers:
            await customers.prepare()
            parent.send(("ready", None))
            _, began, began_ms = await asyncio.to_thread(parent.recv)
            coming = asyncio.create_task(customers.run(began, began_ms))
            telling = asyncio.create_task(_progress(customers, parent))
            loop.add_reader(parent.fileno(), coming.cancel)  # any word from now on, or the parent's end, means stop
            await asyncio.wait({coming})
            loop.remove_reader(parent.fileno())
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        if not coming.cancelled():
            coming.result()
        parent.send(("done", customers.tally.to_json()))


async def _progress(customers: OwnCustomers, parent: Connection) -> None:
    while True:
        await asyncio.sleep(TELL_EVERY_S)
        tally = customers.tally
        parent.send(("progress", {"intents": tally.intents, "settled": tally.settled}))
