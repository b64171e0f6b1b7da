"""Keeping a broker up ends when somebody stops it, also while it is coming up."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.broker import Broker
from simulator.kept_broker import KeptBroker


class SlowBroker:
    """A broker whose start returns when it is told to; its process is a real one."""

    bootstrap_servers = "127.0.0.1:1"
    proxied_bootstrap_servers = None
    proxied_upstream = None
    log_path: Path | None = None

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.serves = threading.Event()

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.serves.wait(10)

    def stop(self) -> None:
        """A clean stop takes its time."""
        if self.process:
            threading.Event().wait(0.3)
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """Too late: it serves at this very moment, and dies only after its start has returned."""
        self.serves.set()

    def restart(self) -> None:
        self.start()

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def alive(self) -> bool:
        return self.pid is not None


@pytest.fixture
def slow() -> Iterator[Broker]:
    broker = SlowBroker()
    yield broker
    broker.stop()


async def test_a_broker_stopped_while_it_starts_is_not_missed(slow: Broker) -> None:
    """Nobody says that it died or starts it again: it was meant to end."""
    said: list[str] = []
    kept = KeptBroker(slow, lambda: None, said.append)
    starting = asyncio.create_task(kept.start())
    await kept.wait_launched()
    await kept.stop()
    await starting
    assert said == []
    assert not slow.alive()
