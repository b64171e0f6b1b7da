"""Apache Kafka in a container, where there is a Docker engine.

In:      a folder for the log, the address of a fault proxy if there is one.
Out:     a broker on host ports the kernel chose, the same ones for as long as the container exists.
Units:   _s are seconds.
Errors:  BrokerUnavailable: testcontainers not installed, no engine, no image, not serving in time.
Source:  testcontainers. Its KafkaContainer wants Confluent's images and leaves the transaction log at three replicas,
         so that one broker hangs; apache/kafka takes KAFKA_* variables, and one of them drops all of its defaults.

A container that is killed or paused keeps its data; a stopped one is removed with them.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulator.broker.errors import BrokerUnavailable
from simulator.broker.ports import ReservedPorts
from simulator.broker.probe import serves
from simulator.broker.protocol import Progress, silent
from simulator.broker.settings import SMALL_AND_QUICK

IMAGE = "apache/kafka:4.3.1"
_DIRECT, _PROXIED, _INTERNAL, _CONTROLLER = 9092, 9093, 9094, 9095
_SCRIPT = "/tmp/payonce-start.sh"  # noqa: S108  inside the container
_START_TIMEOUT_S = 90.0
_STOP_GRACE_S = 10
_PROBE_EVERY_S = 0.1


class DockerBroker:
    """One container of apache/kafka."""

    def __init__(
        self,
        directory: Path,
        *,
        image: str = IMAGE,
        proxy_address: str | None = None,
        progress: Progress = silent,
    ) -> None:
        self._directory = directory.absolute()
        self._image = image
        self._proxy_address = proxy_address
        self._progress = progress
        self._container: Any = None
        self._host = "localhost"
        reserved = ReservedPorts(2)
        self._direct_port, self._proxied_port = reserved.numbers
        reserved.release()  # the engine may be elsewhere, or listen in ways that mind our holding them

    @property
    def bootstrap_servers(self) -> str:
        return f"{self._host}:{self._direct_port}"

    @property
    def proxied_bootstrap_servers(self) -> str | None:
        return self._proxy_address

    @property
    def proxied_upstream(self) -> str | None:
        return f"{self._host}:{self._proxied_port}" if self._proxy_address else None

    @property
    def pid(self) -> int | None:
        """The container's first process, where the engine runs on this very machine."""
        pid = int(self._state().get("Pid") or 0)
        return pid if pid and Path(f"/proc/{pid}").exists() else None

    @property
    def log_path(self) -> Path:
        """Written when the container ends."""
        return self._directory / "broker.log"

    def alive(self) -> bool:
        return bool(self._state().get("Running"))

    def start(self) -> None:
        if self._container is None:
            self._progress(f"starting {self._image} (an image that is not here yet is pulled first)")
            self._container = self._in_words(self._run)
        elif not self.alive():
            self._in_words(self._container.get_wrapped_container().start)
        self._wait_until_serving()

    def stop(self) -> None:
        if self._container is not None:
            self._in_words(lambda: self._container.get_wrapped_container().stop(timeout=_STOP_GRACE_S))
            self._keep_log()
            self._in_words(self._container.stop)
            self._container = None

    def kill(self) -> None:
        if self.alive():
            self._in_words(self._container.get_wrapped_container().kill)

    def pause(self) -> None:
        """The kernel freezes the whole container: to its clients the same as SIGSTOP."""
        self._in_words(self._running().pause)

    def resume(self) -> None:
        self._in_words(self._running().unpause)

    def restart(self) -> None:
        if self._state().get("Paused"):
            self.resume()
        if self.alive():
            self._in_words(lambda: self._container.get_wrapped_container().stop(timeout=_STOP_GRACE_S))
        self.start()

    # -- the container -------------------------------------------------------------------------------------

    def _run(self) -> Any:
        """Create and start it. Its first process waits for a script that says where clients shall come."""
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415  a dependency of developers only

        container = DockerContainer(self._image)
        for name, value in self._settings().items():
            container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        container.with_bind_ports(_DIRECT, self._direct_port).with_bind_ports(_PROXIED, self._proxied_port)
        container.with_command(["sh", "-c", f"while [ ! -s {_SCRIPT} ]; do sleep 0.1; done; exec sh {_SCRIPT}"])
        container.start()
        self._host = container.get_container_host_ip()
        proxied = self._proxy_address or f"{self._host}:{self._proxied_port}"
        advertised = f"DIRECT://{self.bootstrap_servers},PROXIED://{proxied},INTERNAL://localhost:{_INTERNAL}"
        script = f"export KAFKA_ADVERTISED_LISTENERS={advertised}\nexec /etc/kafka/docker/run\n"
        write = f"printf '%s' '{script}' > {_SCRIPT}.new && mv {_SCRIPT}.new {_SCRIPT}"
        code, output = container.exec(["sh", "-c", write])
        if code != 0:
            container.stop()
            raise BrokerUnavailable(f"{self._image} is not the image expected: {output.decode(errors='replace')[:200]}")
        return container

    def _settings(self) -> dict[str, str]:
        names = {"DIRECT": _DIRECT, "PROXIED": _PROXIED, "INTERNAL": _INTERNAL, "CONTROLLER": _CONTROLLER}
        return {
            "node.id": "1",
            "process.roles": "broker,controller",
            "listeners": ",".join(f"{name}://0.0.0.0:{port}" for name, port in names.items()),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
            "inter.broker.listener.name": "INTERNAL",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@localhost:{_CONTROLLER}",
            **SMALL_AND_QUICK,
        }

    def _state(self) -> dict[str, Any]:
        if self._container is None:
            return {}
        wrapped = self._container.get_wrapped_container()
        self._in_words(wrapped.reload)
        return dict(wrapped.attrs["State"])

    def _running(self) -> Any:
        if not self.alive():
            raise BrokerUnavailable("The broker's container is not running; start it first.")
        return self._container.get_wrapped_container()

    def _wait_until_serving(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not serves(self._host, self._direct_port):
            if not self.alive() or time.monotonic() > deadline:
                self._keep_log()
                raise BrokerUnavailable(f"Kafka in {self._image} does not serve; its log is {self.log_path}.")
            time.sleep(_PROBE_EVERY_S)

    def _keep_log(self) -> None:
        out, err = self._in_words(self._container.get_logs)
        self._directory.mkdir(parents=True, exist_ok=True)
        self.log_path.write_bytes(out + err)

    def _in_words(self, step: Callable[[], Any]) -> Any:
        """Run one step against the engine; what it refuses becomes a sentence."""
        try:
            from docker.errors import (  # noqa: PLC0415  docker-py ships no types
                DockerException,
                ImageNotFound,
                NotFound,
            )
        except ImportError as error:
            raise BrokerUnavailable(
                "--kafka docker needs testcontainers: `pip install testcontainers`, or use --kafka embedded."
            ) from error
        try:
            return step()
        except (ImageNotFound, NotFound) as error:
            raise BrokerUnavailable(
                f"The Docker engine has no {self._image} and cannot pull it ({_first_line(error)}): "
                "use --kafka embedded."
            ) from error
        except (DockerException, OSError) as error:
            raise BrokerUnavailable(
                f"No Docker engine can be used ({_first_line(error)}): start one, or use --kafka embedded."
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
