"""Brokers of a test's own, for tests that kill, pause or configure one.

`own_broker()` is a context manager; what it yields is an EmbeddedBroker that serves. Tests that only need some Kafka
take the `kafka` fixture, shared by the whole session, and a `namespace` of their own.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.java import JvmProfile


@contextmanager
def own_broker(
    *,
    proxy_address: str | None = None,
    extra_settings: Mapping[str, str] | None = None,
    profile: JvmProfile = "quick",
) -> Iterator[EmbeddedBroker]:
    """A broker of this test alone: started, and gone afterwards with all it wrote."""
    with tempfile.TemporaryDirectory(prefix="payonce-broker-") as folder:
        broker = EmbeddedBroker(
            Path(folder), proxy_address=proxy_address, extra_settings=extra_settings, profile=profile
        )
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()
            broker.close()
