"""Keep a broker running: start it, notice its death, restart it on the same ports and data.

In:      a Broker (embedded, docker or somebody else's), whose calls block.
Out:     a pid that is true at every moment, a callback at each change.
Units:   fields ending _s are seconds.
Errors:  BrokerUnavailable from start; afterwards `failure` holds the sentence when it cannot be restarted.
Source:  pidfd_open(2): readable at the moment of death, without reaping; prctl(2): PR_SET_PDEATHSIG follows
         the *thread* that started a child, so one thread of our own starts the broker and outlives it.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from simulator.broker.errors import BrokerUnavailable, KilledWhileStarting
from simulator.broker.protocol import Broker

RESTART_BACKOFF_S = (
    0.0,
    0.5,
    1.0,
    2.0,
    5.0,
)  # a broker that fails five times in a row will not do better the sixth
WATCH_EVERY_S = 0.05  # where the kernel has no pidfd

T = TypeVar("T")


class KeptBroker:
    """One broker through all its lives."""

    def __init__(self, broker: Broker, on_change: Callable[[], None], on_report: Callable[[str], None]) -> None:
        self._broker = broker
        self._on_change = on_change
        self._on_report = on_report
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker")
        self._watching: asyncio.Task[None] | None = None
        self._starting = False
        self._stopping = False
        self._hold_s: float | None = 0.0
        self._revived = asyncio.Event()
        self._launched = asyncio.Event()
        self._serving = asyncio.Event()
        self.pid: int | None = None
        self.restarts = 0
        self.failure: str | None = None

    @property
    def bootstrap_servers(self) -> str:
        return self._broker.bootstrap_servers

    @property
    def proxied_bootstrap_servers(self) -> str | None:
        return self._broker.proxied_bootstrap_servers

    @property
    def proxied_upstream(self) -> str | None:
        return self._broker.proxied_upstream

    async def start(self) -> None:
        """Returns once it serves; raises BrokerUnavailable."""
        self._starting = True
        try:
            await self._call_showing_pid(self._broker.start)
        finally:
            self._starting = False
        self._serving.set()
        if self.pid is not None and not self._stopping:  # a stop that came meanwhile wants nobody to watch it die
            self._watching = asyncio.create_task(self._keep_running(), name="supervise broker")

    async def stop(self) -> None:
        """A clean stop; one that is still starting, or is stopped with SIGSTOP, is not waited for."""
        self._stopping = True
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        if self._starting:
            with suppress(BrokerUnavailable, ProcessLookupError):
                self._broker.kill()
        elif self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
        await self._call(self._broker.stop)
        self.pid = None
        self._thread.shutdown(wait=False)

    def signal(self, number: int) -> None:
        if self.pid is None:
            raise ProcessLookupError("the broker is not running, or not ours")
        os.kill(self.pid, number)

    async def kill(self, restart_after_s: float | None = 0.0) -> None:
        """SIGKILL; it comes back after the given time, with None only by `revive`."""
        if self.pid is None:
            raise ProcessLookupError("the broker is not running, or not ours")
        self._hold_s = restart_after_s
        self._revived.clear()
        self._serving.clear()
        os.kill(self.pid, signal.SIGKILL)

    def revive(self) -> None:
        self._revived.set()

    async def wait_launched(self) -> None:
        """Wait while it is being fetched; a first start may download Kafka for minutes."""
        await self._launched.wait()

    async def wait_serving(self) -> None:
        """Wait while it is dead or coming back."""
        await self._serving.wait()

    async def _keep_running(self) -> None:
        while True:
            pid = self.pid
            if pid is not None:  # else it died before anybody could watch it
                await _death_of(pid, self._broker)
            self._on_report(f"the broker (process {pid}) died; starting it again on the same ports and data")
            self.pid = None
            self._serving.clear()
            self._on_change()
            await self._wait_for_restart()
            self.restarts += 1
            if not await self._restarted():
                self._on_change()
                return
            self._serving.set()

    async def _restarted(self) -> bool:
        """Whoever is killed while it starts is started once more; whoever fails by itself a few times stays down."""
        failed = 0
        while True:
            await asyncio.sleep(RESTART_BACKOFF_S[failed])
            try:
                await self._call_showing_pid(self._broker.restart)
            except KilledWhileStarting:
                self._on_report("the broker was killed while it started; starting it again")
            except BrokerUnavailable as error:
                failed += 1
                if failed == len(RESTART_BACKOFF_S):  # told only now: whoever hears of a failure gives up
                    self.failure = f"The broker died and cannot be restarted: {error}"
                    return False
            else:
                return True

    async def _wait_for_restart(self) -> None:
        hold_s, self._hold_s = self._hold_s, 0.0
        if hold_s is None:
            await self._revived.wait()
        elif hold_s > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._revived.wait(), hold_s)
        self._revived.clear()

    async def _call_showing_pid(self, blocking: Callable[[], None]) -> None:
        """Start or restart, and show the new pid as soon as there is one, which is long before it serves."""
        calling = asyncio.ensure_future(self._call(blocking))
        is_done = False
        while not is_done:
            is_done = bool((await asyncio.wait({calling}, timeout=WATCH_EVERY_S))[0])
            if self._broker.pid != self.pid:
                self.pid = self._broker.pid
                self._on_change()
            if is_done or self.pid is not None:
                self._launched.set()
        await calling

    async def _call(self, blocking: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, blocking)


async def _death_of(pid: int, broker: Broker) -> None:
    """Returns when the process has died: at once where the kernel tells, else within 50 ms."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        while broker.alive():  # noqa: ASYNC110  nothing tells us
            await asyncio.sleep(WATCH_EVERY_S)
        return
    loop = asyncio.get_running_loop()
    died = asyncio.Event()
    loop.add_reader(descriptor, died.set)
    try:
        await died.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
