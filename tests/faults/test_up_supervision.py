"""What is kept running is killed, fails, is fenced, is stopped: tiny real processes, real signals."""

import asyncio
import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from simulator.stack_files import HeldPort
from simulator.supervisor import MAX_FAILED_STARTS, Child, ChildSpec
from tests.support.wait import wait_until

SERVES = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
IGNORES_SIGTERM = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVES


def ends_with(code: int, last_words: str) -> str:
    return f"import sys\nprint('starting')\nprint({last_words!r})\nsys.exit({code})"


class Kept:
    """A child with all that it told its owner."""

    def __init__(self, directory: Path, program: str, index: int = 0) -> None:
        self.port = HeldPort("127.0.0.1")
        self.pids: list[int | None] = []
        self.reports: list[str] = []
        spec = ChildSpec(
            role="processor",
            index=index,
            argv=(sys.executable, "-S", "-c", program, str(self.port.port)),
            environment=dict(os.environ),
            log=directory / "logs" / f"processor-{index}.log",
            ready_url=f"http://127.0.0.1:{self.port.port}/readyz",
        )
        self.child = Child(spec, self._changed, self.reports.append)

    def _changed(self) -> None:
        self.pids.append(self.child.pid)

    async def ready(self) -> int:
        await wait_until(self.child.probe, timeout_s=10, message=lambda: f"ready: {self.child.last_words()}")
        assert self.child.pid is not None
        return self.child.pid


@asynccontextmanager
async def kept(directory: Path, program: str) -> AsyncIterator[Kept]:
    one = Kept(directory, program)
    one.child.start()
    try:
        yield one
    finally:
        await one.child.stop(timeout_s=2)
        one.port.close()


async def test_a_killed_child_is_started_again_at_once(tmp_path: Path) -> None:
    """A process that somebody kills has a successor, on the same port, before a fifth of a second is over."""
    async with kept(tmp_path, SERVES) as one:
        first = await one.ready()
        os.kill(first, signal.SIGKILL)
        killed_at = time.monotonic()
        await wait_until(lambda: one.child.pid not in (first, None), timeout_s=10, message="a second life")
        assert time.monotonic() - killed_at < 0.2
        second = await one.ready()
        assert one.child.restarts == 1
        assert one.pids == [first, None, second]
        assert one.reports == ["processor 0 was killed by SIGKILL; starting it again"]


async def test_kills_before_it_was_ready_are_not_failures_of_its_own(tmp_path: Path) -> None:
    """However often somebody kills a process while it starts, it is started again."""
    async with kept(tmp_path, "import time\ntime.sleep(600)") as one:
        for _ in range(MAX_FAILED_STARTS + 1):
            await wait_until(lambda: one.child.pid is not None, timeout_s=10, message="a life")
            await one.child.kill()
        await wait_until(lambda: one.child.pid is not None, timeout_s=10, message="one more life")
        assert one.child.failure is None


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (2, "processor 0 refused to start: --partitions must be a number"),
        (4, "processor 0 was fenced: another process took its identity; it stays down"),
    ],
)
async def test_usage_and_fencing_are_not_tried_again(tmp_path: Path, code: int, sentence: str) -> None:
    """Exit codes 2 and 4 would repeat themselves, so the process stays down and one sentence says why."""
    async with kept(tmp_path, ends_with(code, "--partitions must be a number")) as one:
        await wait_until(lambda: one.child.failure, timeout_s=10, message="a failure")
        assert (one.child.failure, one.child.failure_code, one.child.restarts) == (sentence, code, 0)
        assert one.reports == []


async def test_a_child_that_never_gets_ready_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    """After a bounded number of starts the sentence has what the process said last, JSON told as text."""
    line = json.dumps({"event": "start_failed", "error": "no broker at 127.0.0.1:1"})
    async with kept(tmp_path, ends_with(1, line)) as one:
        await wait_until(lambda: one.child.failure, timeout_s=20, message="giving up")
        assert one.child.failure == (
            f"processor 0 ended {MAX_FAILED_STARTS} times before it was ready (exit code 1): "
            "start_failed: no broker at 127.0.0.1:1"
        )
        assert one.child.restarts == MAX_FAILED_STARTS - 1


async def test_a_child_killed_for_good_stays_down_until_it_is_revived(tmp_path: Path) -> None:
    """`restart_after_s=None` keeps a process down, and its port refuses meanwhile."""
    async with kept(tmp_path, SERVES) as one:
        await one.ready()
        await one.child.kill(restart_after_s=None)
        await wait_until(lambda: one.child.pid is None, timeout_s=10, message="its death")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", one.port.port)
        one.child.revive()
        await one.ready()


async def test_a_kill_with_a_delay_waits_that_long(tmp_path: Path) -> None:
    """`restart_after_s=0.5` is half a second without the process, no less."""
    async with kept(tmp_path, SERVES) as one:
        await one.ready()
        await one.child.kill(restart_after_s=0.5)
        killed_at = time.monotonic()
        await wait_until(
            lambda: one.child.restarts == 1 and one.child.pid is not None, timeout_s=10, message="its return"
        )
        assert 0.45 < time.monotonic() - killed_at < 2


@pytest.mark.parametrize("program", [SERVES, IGNORES_SIGTERM], ids=["stopped", "deaf"])
async def test_stop_ends_even_what_does_not_listen(tmp_path: Path, program: str) -> None:
    """A process that was paused, or ignores SIGTERM, is gone after stop."""
    one = Kept(tmp_path, program)
    one.child.start()
    pid = await one.ready()
    one.child.signal(signal.SIGSTOP)
    await one.child.stop(timeout_s=1)
    one.port.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert one.child.pid is None


async def test_children_die_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    """SIGKILL of the supervisor leaves no process behind, though it had no time to stop any."""
    parent = textwrap.dedent(
        f"""
        import asyncio, sys
        from pathlib import Path
        from simulator.supervisor import Child, ChildSpec
        async def main():
            argv = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
            spec = ChildSpec("processor", 0, argv, {{}}, Path({str(tmp_path)!r}) / "child.log")
            child = Child(spec, lambda: print(child.pid, flush=True), print)
            child.start()
            await asyncio.Event().wait()
        asyncio.run(main())
        """
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    child_pid = int(await asyncio.wait_for(process.stdout.readline(), 20))
    os.kill(child_pid, 0)
    process.kill()
    await process.wait()
    await wait_until(lambda: not is_running(child_pid), timeout_s=10, message="the child's death")


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
