"""Keep child processes running: start, watch, restart, kill, hold down, stop.

In:      one ChildSpec per process (role, index, argv, environment, log file, where it answers /readyz).
Out:     pids that are true at every moment, a callback at each change, one sentence at each death.
Units:   fields ending _s are seconds.
Errors:  a child is never an exception here: `Child.failure` holds the sentence, and the owner decides.
Source:  prctl(2), PR_SET_PDEATHSIG: children must not outlive a parent that was killed with SIGKILL.

A dead child is restarted at once. One that ends by itself before it was ever ready is restarted with bounded
backoff, and given up after MAX_FAILED_STARTS; death by a signal is somebody else's doing and never counts.
Exit codes 2 (usage) and 4 (fenced) mean that another start would end the same way: never restarted.
Each child is its own session: Ctrl-C at the terminal reaches the parent only, which stops them in order.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

EXIT_USAGE = 2
EXIT_FENCED = 4

MAX_FAILED_STARTS = 5
BACKOFF_S = (
    0.0,
    0.2,
    0.5,
    1.0,
    2.0,
)  # before the next start after 1, 2, 3 ... failed ones; five tries within 4 s
PROBE_EVERY_S = 0.05
PROBE_TIMEOUT_S = 1.0  # /readyz answers from memory; a stopped process accepts and then says nothing
STOP_TIMEOUT_S = 10.0  # a clean stop ends an open Kafka transaction, whose time-out is 5 s
LOG_TAIL_BYTES = 16_384

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """All that is needed to start one process, again and again."""

    role: str
    index: int
    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready_url: str | None = None  # None: counts as ready as soon as it runs

    @property
    def name(self) -> str:
        return f"{self.role} {self.index}"


@dataclass(eq=False)
class Child:
    """One supervised process through all its lives."""

    spec: ChildSpec
    on_change: Callable[[], None]
    on_report: Callable[[str], None]  # one sentence for each death
    pid: int | None = None
    restarts: int = 0
    failure: str | None = None
    failure_code: int | None = None
    died_at: float | None = None  # monotonic, of the latest death
    _process: asyncio.subprocess.Process | None = None
    _task: asyncio.Task[None] | None = None
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _revived: asyncio.Event = field(default_factory=asyncio.Event)
    _hold_s: float | None = 0.0  # how long the next death lasts; None: until revive()
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _log_start: int = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_running(), name=f"supervise {self.spec.name}")

    def signal(self, number: int) -> None:
        """Send a signal to the running process; refuses to aim at a dead one."""
        if self._process is None or self.pid is None:
            raise ProcessLookupError(f"{self.spec.name} is not running")
        self._process.send_signal(number)

    async def kill(self, restart_after_s: float | None = 0.0) -> None:
        """SIGKILL; returns when it is dead. It comes back after the given time, with None only by revive."""
        process = self._process
        if process is None or self.pid is None:
            raise ProcessLookupError(f"{self.spec.name} is not running")
        self._hold_s = restart_after_s
        self._revived.clear()
        process.send_signal(signal.SIGKILL)
        await process.wait()

    def revive(self) -> None:
        """Start a process that was killed for good; nothing to do for a running one."""
        self._revived.set()

    async def probe(self) -> bool:
        """Is it running and does it say, now, that it is ready?"""
        if self.pid is None:
            return False
        return self.spec.ready_url is None or await _answers_200(self.spec.ready_url)

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """SIGTERM (and SIGCONT, for one that was stopped), then SIGKILL when it does not end in time."""
        if self._task is None:
            return
        self._stopping.set()
        self._revived.set()
        self._send(signal.SIGTERM, signal.SIGCONT)
        if not (await asyncio.wait({self._task}, timeout=timeout_s))[0]:
            self._send(signal.SIGKILL)
        await self._task

    def last_words(self) -> str:
        """The last line that the latest life wrote to its log, as text."""
        return last_log_line(self.spec.log, self._log_start)

    def _send(self, *numbers: int) -> None:
        if self._process is not None and self.pid is not None:
            with suppress(ProcessLookupError):
                for number in numbers:
                    self._process.send_signal(number)

    # -- the loop ------------------------------------------------------------------------------------------

    async def _keep_running(self) -> None:
        failed_starts = 0
        while not self._stopping.is_set():
            code, was_ready = await self._live_once()
            if self._stopping.is_set():
                return
            failed_starts = 0 if was_ready or code < 0 else failed_starts + 1
            if self._is_final(code, failed_starts):
                self.on_change()
                return
            self.on_report(f"{self.spec.name} {_how_it_ended(code)}; starting it again")
            await self._wait_for_restart(failed_starts)
            self.restarts += 1

    async def _live_once(self) -> tuple[int, bool]:
        """Start, wait for the death, return the exit code and whether it was ever ready."""
        self._ready.clear()
        self._hold_s = 0.0
        self._process = process = await self._spawn()
        self.pid = process.pid
        if self._stopping.is_set():  # while it was being started
            self._send(signal.SIGTERM)
        self.on_change()
        readiness = asyncio.create_task(self._watch_readiness())
        try:
            code = await process.wait()
        finally:
            readiness.cancel()
        was_ready = self._ready.is_set()
        self._ready.clear()
        self.pid = None
        self.died_at = time.monotonic()
        self.on_change()
        return code, was_ready

    async def _spawn(self) -> asyncio.subprocess.Process:
        self.spec.log.parent.mkdir(parents=True, exist_ok=True)
        with self.spec.log.open("ab") as log, warnings.catch_warnings():
            # Python warns of forking beside threads; this child only calls prctl before it execs.
            warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
            self._log_start = log.tell()
            return await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=dict(self.spec.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )

    async def _watch_readiness(self) -> None:
        while not await self.probe():  # noqa: ASYNC110  only the other process knows
            await asyncio.sleep(PROBE_EVERY_S)
        self._ready.set()

    def _is_final(self, code: int, failed_starts: int) -> bool:
        """Decide whether another start could help; otherwise keep one sentence that says why not."""
        if code == EXIT_FENCED:
            self.failure = f"{self.spec.name} was fenced: another process took its identity; it stays down"
        elif code == EXIT_USAGE:
            self.failure = f"{self.spec.name} refused to start: {self.last_words()}"
        elif failed_starts >= MAX_FAILED_STARTS:
            self.failure = (
                f"{self.spec.name} ended {failed_starts} times before it was ready (exit code {code}): "
                f"{self.last_words()}"
            )
        else:
            return False
        self.failure_code = code
        return True

    async def _wait_for_restart(self, failed_starts: int) -> None:
        backoff_s = BACKOFF_S[min(failed_starts, len(BACKOFF_S)) - 1] if failed_starts else 0.0
        hold_s = self._hold_s
        if hold_s is None:
            await self._revived.wait()
        elif max(hold_s, backoff_s) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._revived.wait(), max(hold_s, backoff_s))
        self._revived.clear()


def die_with_parent() -> Callable[[], None] | None:
    """What a child runs before exec so that the kernel kills it with its parent; None where none can.

    Linux only. The parent may have died between fork and prctl: then the child has another parent already.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def before_exec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


async def _answers_200(url: str) -> bool:
    """One GET over its own plain connection: a client library takes longer to import than this to ask."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
                status_line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return status_line.split(b" ")[1:2] == [b"200"]


def _how_it_ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def last_log_line(log: Path, start: int = 0) -> str:
    """The last line of a log file after `start`, a JSON line told as its event and error."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return "it left no log"
    line = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return _told(line)


def _told(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict):
        return line
    told = [str(entry[name]) for name in ("why", "event", "error", "detail", "reason", "exception") if entry.get(name)]
    # `why` is a whole sentence already; elsewhere the event names what its other members tell.
    return told[0] if entry.get("why") else ": ".join(told) or line
