"""Apache Kafka on this machine: one node, a child process, no Java and no Docker needed.

In:      a folder for its data and log, a profile, the address of a fault proxy if there is one.
Out:     a broker that serves on ports the kernel chose, the same ones through every restart.
Units:   _s are seconds.
Errors:  BrokerUnavailable: Java, ports, disk, network on the first run; the log is kept beside the data.
Source:  DESIGN, "Where Kafka comes from".
"""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from simulator.broker import archive, diagnosis, java, settings
from simulator.broker.errors import BrokerUnavailable
from simulator.broker.installation import Installation, install
from simulator.broker.jars import MAVEN_CENTRAL, cache_home
from simulator.broker.java import JvmProfile
from simulator.broker.ports import HOST, ReservedPorts
from simulator.broker.probe import serves
from simulator.broker.process import GuardedProcess
from simulator.broker.protocol import Progress, silent
from simulator.broker.secure import SaslSsl

KAFKA_VERSION = "4.3.1"
_START_TIMEOUT_S = 60.0
_STOP_GRACE_S = 10.0
_PROBE_EVERY_S = 0.02
_PROBE_TIMEOUT_S = 0.5
_PORT_ATTEMPTS = 3
_PORT_PAUSE_S = 0.2


class EmbeddedBroker:
    """A Kafka of our own, to start, break and start again."""

    def __init__(
        self,
        directory: Path,
        *,
        profile: JvmProfile = "quick",
        proxy_address: str | None = None,
        sasl_ssl: SaslSsl | None = None,
        extra_settings: Mapping[str, str] | None = None,
        jvm_flags: Sequence[str] = (),
        cache: Path | None = None,
        repository: str = MAVEN_CENTRAL,
        progress: Progress = silent,
    ) -> None:
        self._directory = directory.absolute()
        self._profile = profile
        self._proxy_address = proxy_address
        self._sasl_ssl = sasl_ssl
        self._extra_settings = dict(extra_settings or {})
        self._cache = cache or cache_home()
        self._repository = repository
        self._progress = progress
        self._jvm_flags = tuple(jvm_flags)
        self._process: GuardedProcess | None = None
        self._ports = ReservedPorts(4)

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self._ports.numbers[0]}"

    @property
    def proxied_bootstrap_servers(self) -> str | None:
        return self._proxy_address

    @property
    def proxied_upstream(self) -> str | None:
        return f"{HOST}:{self._ports.numbers[2]}" if self._proxy_address else None

    @property
    def sasl_ssl_bootstrap_servers(self) -> str | None:
        """HOST:PORT of the listener that wants TLS and a password; None without one."""
        return f"{HOST}:{self._ports.numbers[3]}" if self._sasl_ssl else None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.exit_code() is None else None

    @property
    def log_path(self) -> Path:
        return self._directory / "broker.log"

    def start(self) -> None:
        """Returns once it serves. A fresh folder is formatted, a used one goes on where it was."""
        if self.alive():
            return
        installation = install(self._cache, self._repository, self._progress, _learn_from)
        for attempts_left in reversed(range(_PORT_ATTEMPTS)):
            try:
                self._start_from(installation)
            except diagnosis.PortTaken:
                # Clients know these ports, so only waiting can help: for one that its last user is letting go.
                if not attempts_left:
                    raise
                time.sleep(_PORT_PAUSE_S)
            else:
                return

    def _start_from(self, installation: Installation) -> None:
        with diagnosis.disk_in_words(self._directory):
            self._write_files(installation)
            log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        command = java.command(
            "kafka.Kafka",
            [str(self._directory / "server.properties")],
            jars=installation.jars,
            profile=self._profile,
            flags=[
                *installation.archive_flags,
                *self._jvm_flags,
                f"-Dlog4j2.configurationFile={self._directory / 'log4j2.properties'}",
            ],
        )
        self._process = process = GuardedProcess(command, output=self.log_path, directory=self._directory)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not serves(HOST, self._ports.numbers[0], _PROBE_TIMEOUT_S):
            code = process.exit_code()
            if code is not None:
                raise diagnosis.why_it_ended(code, self.log_path, log_start)
            if time.monotonic() > deadline:
                process.end(grace_s=0)
                raise BrokerUnavailable(
                    f"Kafka did not serve within {_START_TIMEOUT_S:.0f} s of its start; its log is {self.log_path}."
                )
            time.sleep(_PROBE_EVERY_S)

    def _write_files(self, installation: Installation) -> None:
        data = self._directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        if not (data / "meta.properties").exists():
            (data / "bootstrap.checkpoint").write_bytes(installation.bootstrap_checkpoint)
            (data / "meta.properties").write_text(settings.fresh_identity())
        (self._directory / "log4j2.properties").write_text(settings.LOG4J)
        direct, controller, proxied, secure = self._ports.numbers
        listeners = [settings.Listener("DIRECT", direct, f"{HOST}:{direct}")]
        extra = self._extra_settings
        if self._proxy_address:
            listeners.append(settings.Listener("PROXIED", proxied, self._proxy_address))
        if self._sasl_ssl:
            listeners.append(settings.Listener("SECURE", secure, f"{HOST}:{secure}", "SASL_SSL"))
            extra = {**self._sasl_ssl.broker_settings("secure"), **extra}
        text = settings.server_properties(listeners, controller, HOST, extra)
        (self._directory / "server.properties").write_text(text)

    def stop(self) -> None:
        """A clean stop: what a supervisor does at the end. Its exit code 143 is Java's way to say SIGTERM."""
        if self._process:
            self._process.end(_STOP_GRACE_S)
            self._process = None

    def kill(self) -> None:
        if self._process:
            self._process.send(signal.SIGKILL)
            self._process.reap()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is None or self._process.exit_code() is not None:
            raise BrokerUnavailable("The broker is not running; start it first.")
        self._process.send(number)

    def restart(self) -> None:
        self.stop()
        self.start()

    def alive(self) -> bool:
        return self.pid is not None

    def close(self) -> None:
        """Stop it and give its ports back."""
        with suppress(ProcessLookupError):
            self.stop()
        self._ports.release()


def _learn_from(installation: Installation) -> archive.StartWith:
    @contextmanager
    def start_with(folder: Path, jvm_flags: Sequence[str]) -> Iterator[str]:
        broker = EmbeddedBroker(folder, jvm_flags=jvm_flags)
        try:
            broker._start_from(installation)
            yield broker.bootstrap_servers
        finally:
            broker.close()

    return start_with
