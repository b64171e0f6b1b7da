"""Where Kafka comes from: started here, in a container, or somebody else's.

In:      what `--kafka` says, and a folder for what the broker writes.
Out:     a Broker to start, break and start again.
Errors:  BrokerUnavailable, one sentence.
Source:  DESIGN, "Where Kafka comes from".
"""

from pathlib import Path

from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.errors import BrokerUnavailable
from simulator.broker.java import JvmProfile
from simulator.broker.protocol import Broker, Progress, silent

__all__ = ["Broker", "BrokerUnavailable", "EmbeddedBroker", "Progress", "make_broker"]


def make_broker(
    kind: str,
    directory: Path,
    progress: Progress = silent,
    *,
    proxy_address: str | None = None,
    profile: JvmProfile = "quick",
) -> Broker:
    """The broker that `--kafka` names; `embedded` writes below DIRECTORY/broker."""
    if kind == "embedded":
        return EmbeddedBroker(directory / "broker", proxy_address=proxy_address, profile=profile, progress=progress)
    raise BrokerUnavailable(f"--kafka {kind}: only `embedded` is known.")
