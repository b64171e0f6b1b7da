"""How fast the ledger books, without a Kafka: `python -m tests.support.measure_ledger`.

Out:     records per second and CPU per record for batches of 1,000; milliseconds for one event and for each question.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.databases import postgres, sqlite_url
from tests.support.ledger_records import AT, SHOP, Booked, command, event, key_record

BATCH = 1_000


def measure(label: str, url: str, records: int) -> None:
    booked = Booked(url)
    written = {
        "charges": [event(at, number=at, key=f"k{at}") for at in range(records)],
        "commands": [command(at, number=at, key=f"k{at}") for at in range(records)],
        "keys": [key_record(at, number=at, key=f"k{at}", command_offset=at) for at in range(records)],
    }
    for topic, rows in written.items():
        began, cpu = time.perf_counter(), time.process_time()
        for at in range(0, records, BATCH):
            booked.apply(**{topic: rows[at : at + BATCH]})
        took, used = time.perf_counter() - began, time.process_time() - cpu
        print(f"{label:12}{topic:24}{records / took:10,.0f} /s{used / records * 1e6:8.0f} µs CPU each")
    _each(label, "one event", lambda at: booked.apply(charges=[event(records + at, number=records + at)]))
    _each(label, "position", lambda _: booked.read.position("payments.charges", 0))
    _each(label, "key", lambda at: booked.read.key(SHOP, f"k{at}", AT))
    booked.close()


def _each(label: str, what: str, call: Callable[[int], object], times: int = 300) -> None:
    began = time.perf_counter()
    for at in range(times):
        call(at)
    print(f"{label:12}{what:24}{(time.perf_counter() - began) / times * 1000:10.2f} ms")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", sqlite_url(Path(folder)), 40_000)
    with postgres() as server:
        measure("postgresql", server.new_database(), 20_000)
