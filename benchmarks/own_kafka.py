"""A Kafka of a benchmark's own, and a folder; both are gone afterwards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.java import JvmProfile


@contextmanager
def own_kafka(profile: JvmProfile = "throughput", *, inside: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Its bootstrap servers, and the folder, made `inside` another or where the system has such things."""
    with tempfile.TemporaryDirectory(prefix="payonce-bench-", dir=inside) as folder:
        broker = EmbeddedBroker(Path(folder) / "kafka", profile=profile)
        try:
            broker.start()
            yield broker.bootstrap_servers, Path(folder)
        finally:
            broker.kill()
            broker.close()
