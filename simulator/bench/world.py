"""What every measurement stands on: one broker for all of them, a folder, namespaces that nobody had before.

In:      what --kafka says, a folder for what is written meanwhile.
Out:     World: Kafka, and a Place for each run.
Errors:  BrokerUnavailable, one sentence.
Source:  the throughput profile lets the broker's JIT compile fully. Deleted segments leave the disk after a second, or
         a long measurement would keep every run's gigabyte.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from simulator.bench.subjects import Place
from simulator.bench.throughput import Kafka
from simulator.broker import Broker, EmbeddedBroker, Progress, make_broker
from simulator.stack_options import kafka_connection

SETTINGS: Final = {"log.segment.delete.delay.ms": "1000"}


@dataclass
class World:
    kafka: Kafka
    folder: Path
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def place(self, partitions: int) -> Place:
        """Of a run of its own."""
        namespace = f"bench{os.getpid()}-{next(self._numbers):04d}"
        return Place(self.kafka.connection.bootstrap, namespace, partitions, self.folder / namespace)

    def clear(self, place: Place) -> None:
        """What the run wrote beside the log: gigabytes, after some runs."""
        shutil.rmtree(place.folder, ignore_errors=True)


@asynccontextmanager
async def world(kafka: str, directory: Path, progress: Progress) -> AsyncIterator[World]:
    """A broker that serves, and a folder that is gone afterwards."""
    folder = _folder(directory)
    broker = _broker(kafka, folder, progress)
    try:
        await asyncio.to_thread(broker.start)
        yield World(Kafka(kafka_connection(broker.bootstrap_servers, None), broker.pid), folder)
    finally:
        if isinstance(broker, EmbeddedBroker):
            broker.kill()  # nothing of it is wanted any more
            broker.close()
        else:
            broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _folder(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="run-", dir=directory)).absolute()


def _broker(kafka: str, folder: Path, progress: Progress) -> Broker:
    if kafka == "embedded":
        return EmbeddedBroker(folder / "broker", profile="throughput", extra_settings=SETTINGS, progress=progress)
    return make_broker(kafka, folder, progress, profile="throughput")
