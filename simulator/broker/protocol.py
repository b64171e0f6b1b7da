"""What the rest of the simulator may ask of a broker, wherever it comes from.

In:      nothing: where the broker comes from was decided when it was made (simulator.broker.make_broker).
Out:     addresses to connect to, a pid to send signals to, a log to read when it went wrong.
Errors:  BrokerUnavailable, one sentence.

A fault that a kind of broker cannot suffer (nobody can SIGKILL somebody else's cluster) raises BrokerUnavailable too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Progress = Callable[[str], None]


def silent(_: str) -> None:
    """The progress of whoever does not want to hear."""


class Broker(Protocol):
    """One Kafka, started and broken from outside."""

    @property
    def bootstrap_servers(self) -> str:
        """HOST:PORT of the listener that no fault touches."""

    @property
    def proxied_bootstrap_servers(self) -> str | None:
        """HOST:PORT of the proxy at which the second listener is advertised; None without a proxy."""

    @property
    def proxied_upstream(self) -> str | None:
        """HOST:PORT where the second listener really listens: what the proxy forwards to."""

    @property
    def pid(self) -> int | None:
        """The process to send signals to; None where it is not ours, or not running."""

    @property
    def log_path(self) -> Path | None:
        """The broker's own log; None where it is not ours."""

    def start(self) -> None:
        """Returns once the broker serves."""

    def stop(self) -> None:
        """A clean stop; does nothing when it is not running."""

    def kill(self) -> None:
        """SIGKILL: no flush, no farewell."""

    def pause(self) -> None:
        """SIGSTOP: connections stay open, nothing answers."""

    def resume(self) -> None:
        """SIGCONT."""

    def restart(self) -> None:
        """Serve again, on the same data and the same ports, whatever happened to it before."""

    def alive(self) -> bool:
        """Whether there is a process to speak of, paused or not."""
