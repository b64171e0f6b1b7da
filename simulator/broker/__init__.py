"""Where Kafka comes from: started here, in a container, or somebody else's.

In:      what `--kafka` says, and a folder for what the broker writes.
Out:     a Broker to start, break and start again.
Errors:  BrokerUnavailable, one sentence.
Source:  DESIGN, "Where Kafka comes from".
"""

from pathlib import Path

from events.connection import InvalidConnection, KafkaConnection, connection
from simulator.broker.docker import DockerBroker
from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.errors import AccessRefused, BrokerUnavailable
from simulator.broker.external import ExternalBroker
from simulator.broker.java import JvmProfile
from simulator.broker.protocol import Broker, Progress, silent

__all__ = [
    "AccessRefused",
    "Broker",
    "BrokerUnavailable",
    "DockerBroker",
    "EmbeddedBroker",
    "ExternalBroker",
    "Progress",
    "make_broker",
]


def make_broker(
    kind: str,
    directory: Path,
    progress: Progress = silent,
    *,
    proxy_address: str | None = None,
    profile: JvmProfile = "quick",
    cluster: KafkaConnection | None = None,
) -> Broker:
    """The broker that `--kafka` names: embedded, docker or HOST:PORT[,HOST:PORT].

    Ours write below DIRECTORY/broker. `cluster` says how to reach somebody else's where it wants TLS or a password.
    """
    if kind == "embedded":
        return EmbeddedBroker(directory / "broker", proxy_address=proxy_address, profile=profile, progress=progress)
    if kind == "docker":
        return DockerBroker(directory / "broker", proxy_address=proxy_address, progress=progress)
    try:
        return ExternalBroker(cluster or connection(kind))
    except InvalidConnection as error:
        raise BrokerUnavailable(f"--kafka takes embedded, docker or HOST:PORT: {error}") from None
