"""Fixtures that every test may ask for: a real Kafka shared by the session, and names nobody else uses."""

import itertools
import os
from collections.abc import Iterator

import pytest

from simulator.broker.embedded import EmbeddedBroker
from simulator.proxy.kafka import listen
from tests.support.brokers import own_broker
from tests.support.log_worlds import ProxiedBroker

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedBroker]:
    """One real Kafka for the whole session. Never kill, pause or restart it: use own_broker for that."""
    with own_broker() as broker:
        yield broker


@pytest.fixture
def namespace() -> str:
    """A namespace no other test has, so that tests share a broker but never a topic."""
    return f"t{os.getpid()}-{next(_numbers)}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that need a Docker engine run only when asked for by name (`-m docker`), as `make docker-test` does."""
    if "docker" in str(config.getoption("markexpr")):
        return
    needs_engine = [item for item in items if item.get_closest_marker("docker")]
    if needs_engine:
        config.hook.pytest_deselected(items=needs_engine)
        items[:] = [item for item in items if item not in needs_engine]


@pytest.fixture(scope="session")
def proxied_kafka() -> Iterator[ProxiedBroker]:
    """One real Kafka for the whole session whose clients must come through a proxy that the test starts."""
    with listen() as listening:
        host, port = listening.getsockname()
        with own_broker(proxy_address=f"{host}:{port}") as broker:
            yield ProxiedBroker(broker, listening)
