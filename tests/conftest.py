"""Fixtures that every test may ask for: a real Kafka shared by the session, and names nobody else uses."""

import itertools
import os
from collections.abc import Iterator

import pytest

from simulator.broker.embedded import EmbeddedBroker
from tests.support.brokers import own_broker

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
