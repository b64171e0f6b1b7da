"""Somebody else's Kafka: checked, used, never touched.

In:      KafkaConnection.
Out:     a Broker that serves as long as its owner lets it.
Errors:  BrokerUnavailable: it does not answer, is too old, or is asked for a fault that only its owner could make.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from events.connection import KafkaConnection
from simulator.broker.errors import BrokerUnavailable


class ExternalBroker:
    """A cluster at an address. It has no pid here, and no log."""

    pid = None
    log_path = None

    def __init__(self, connection: KafkaConnection) -> None:
        self.connection = connection
        self.bootstrap_servers = connection.bootstrap
        # Its listeners are what its owner made them: none of them is advertised at a proxy of ours.
        self.proxied_bootstrap_servers = None
        self.proxied_upstream = None

    def start(self) -> None:
        """Nothing is started: checks that it is there and good enough."""
        from simulator.broker import cluster  # noqa: PLC0415  kio and aiokafka load for as long as a broker starts

        with ThreadPoolExecutor(1) as thread:  # the caller may be inside an event loop
            thread.submit(asyncio.run, cluster.check(self.connection)).result()

    def stop(self) -> None:
        """It goes on without us."""

    def restart(self) -> None:
        self.start()

    def kill(self) -> NoReturn:
        raise self._not_ours("killed")

    def pause(self) -> NoReturn:
        raise self._not_ours("paused")

    def resume(self) -> NoReturn:
        raise self._not_ours("resumed")

    def alive(self) -> bool:
        return True

    def _not_ours(self, done: str) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"The Kafka at {self.bootstrap_servers} cannot be {done} from here: "
            "use --kafka embedded for faults of the broker."
        )
