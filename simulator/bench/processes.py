"""The processes of one subject: started, awaited until ready, their CPU read, stopped.

In:      a Subject, a Place, how many processes share the work.
Out:     when all were ready; CPU seconds of the whole tree so far.
Units:   seconds; instants of the monotonic clock.
Errors:  SubjectFailed, one sentence with the last line of its log, when one ends or is not ready in time.
Source:  prctl(2): the kernel kills them with us. A session of their own keeps Ctrl-C from them: we stop them.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

from simulator.bench.subjects import Place, Subject, SubjectFailed
from simulator.supervisor import die_with_parent, last_log_line

READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 10.0
LOOK_EVERY_S: Final = 0.01


class _One:
    def __init__(self, subject: Subject, place: Place) -> None:
        place.folder.mkdir(parents=True, exist_ok=True)
        self.log = place.folder.with_suffix(".log")
        self._subject = subject
        self._read_to = 0
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                list(subject.argv(place)),
                env=dict(subject.environment(place)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509  it only calls prctl
            )
        self._watched = psutil.Process(self.process.pid)
        self._children: list[psutil.Process] = []

    def said_ready(self) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._read_to)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._read_to += len(whole) + len(newline)
        return any(self._subject.is_ready(line) for line in whole.splitlines())

    def find_children(self) -> None:
        """Once: to look through all processes costs more than all else that is looked at."""
        with suppress(psutil.NoSuchProcess):
            self._children = self._watched.children(recursive=True)

    def cpu_s(self) -> float:
        """Its own and its children's, those that have ended too."""
        used = self._watched.cpu_times()
        total = used.user + used.system + used.children_user + used.children_system
        for child in self._children:
            with suppress(psutil.NoSuchProcess):
                theirs = child.cpu_times()
                total += theirs.user + theirs.system
        return float(total)


class Running:
    """`async with Running(subject, place, count) as running:` they are ready; afterwards they are gone."""

    def __init__(self, subject: Subject, place: Place, count: int = 1) -> None:
        self._subject, self._place, self._count = subject, place, count
        self._ones: Sequence[_One] = ()
        self.started_at = self.ready_at = 0.0
        self.start_cpu_s = 0.0

    async def __aenter__(self) -> Self:
        self.start()
        try:
            await self.wait_ready()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def start(self) -> None:
        self.started_at = time.monotonic()
        self._ones = [_One(self._subject, self._of(number)) for number in range(self._count)]

    def _of(self, number: int) -> Place:
        folder: Path = self._place.folder / f"process-{number}"
        return replace(self._place, folder=folder)

    async def wait_ready(self) -> None:
        """All of them have said so."""
        waiting = list(self._ones)
        while waiting:
            self.check()
            if time.monotonic() > self.started_at + READY_WITHIN_S:
                raise self._failed(waiting[0], f"was not ready within {READY_WITHIN_S:.0f} s")
            waiting = [one for one in waiting if not one.said_ready()]
            await asyncio.sleep(LOOK_EVERY_S)
        self.ready_at = time.monotonic()
        for one in self._ones:
            one.find_children()
        self.start_cpu_s = self.cpu_s()

    def check(self) -> None:
        """Raise when one of them is no more."""
        for one in self._ones:
            code = one.process.poll()
            if code is not None:
                raise self._failed(one, f"ended with exit code {code}")

    def failed(self, what: str) -> SubjectFailed:
        return self._failed(self._ones[0], what)

    def _failed(self, one: _One, what: str) -> SubjectFailed:
        return SubjectFailed(f"{self._subject.name} {what}: {last_log_line(one.log)}")

    def cpu_s(self) -> float:
        try:
            return sum(one.cpu_s() for one in self._ones)
        except psutil.NoSuchProcess:
            self.check()
            raise

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for the whole session of one that does not listen."""
        for one in self._ones:
            with suppress(ProcessLookupError):
                one.process.terminate()
        await asyncio.shield(asyncio.to_thread(self._reap))

    def _reap(self) -> None:
        deadline = time.monotonic() + STOP_WITHIN_S
        for one in self._ones:
            with suppress(subprocess.TimeoutExpired):
                one.process.wait(max(0.0, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()
