"""A whole Payonce on this machine: broker, gateways, processors and ledger, each a process kept running.

In:      StackOptions. Services are started as `python -m services.<role>`, configured by environment only.
Out:     addresses, API keys, and DIR/stack.json, true from the moment everything is ready until a clean stop.
Units:   fields ending _s are seconds.
Errors:  Failure with one sentence; whatever had been started is stopped before it is raised.
Source:  CONTRACT, `payonce up`; DESIGN, "The rooms" (the simulator starts services, it never imports them).
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from events.connection import KafkaConnection
from events.options import host_and_port
from simulator.broker import Broker, make_broker
from simulator.failure import Failure, UsageFailure
from simulator.foreign_processor import foreign_client_id
from simulator.kept_broker import KeptBroker
from simulator.stack_files import (
    STACK_FILE,
    DirectoryLock,
    HeldPort,
    keep_api_keys,
    read_api_keys,
    write_stack,
)
from simulator.stack_options import StackOptions, cautions, kafka_connection, service_environment
from simulator.supervisor import EXIT_FENCED, PROBE_EVERY_S, Child, ChildSpec

START_TIMEOUT_S = 120.0  # a service waits 60 s for its broker before it says that there is none
STOP_ORDER = ("gateway", "processor", "ledger")  # nothing new comes in, what came in is answered, then booked

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Process:
    """One running process, as stack.json tells it, and how often it was restarted."""

    role: str
    index: int
    pid: int
    restarts: int


def _say_later(loop: asyncio.AbstractEventLoop, progress: Progress, sentence: str) -> None:
    """Progress of a blocking call, which runs on a thread of its own."""
    loop.call_soon_threadsafe(progress, sentence)


def _say_nothing(_: str) -> None:
    """Progress that nobody watches."""


class Stack:
    """`async with Stack(options) as stack:` starts everything, waits until it serves, stops it at the end.

    `on_change` is called at every change of a pid, `on_report` with one sentence at every death.
    """

    def __init__(
        self,
        options: StackOptions,
        progress: Progress = _say_nothing,
        on_report: Progress = _say_nothing,
    ) -> None:
        self.options = options
        self.dir = options.dir.absolute()
        self.namespace = options.namespace
        self.guarantee = options.guarantee
        self.ledger_url = options.ledger_url or f"sqlite:///{self.dir / 'ledger.db'}"
        self.api_keys: dict[str, str] = {}
        self.gateway_urls: list[str] = []
        self.on_change: list[Callable[[], None]] = []
        self._progress = progress
        self._on_report = on_report
        self._lock = DirectoryLock(self.dir)
        self._ports: list[HeldPort] = []
        self._children: list[Child] = []
        self._fenced: list[Child] = []  # told once, and left down
        self._broker: KeptBroker | None = None
        self._is_up = False
        self._gave_up: asyncio.Future[Failure] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # -- addresses -----------------------------------------------------------------------------------------

    @property
    def bootstrap_servers(self) -> str:
        assert self._broker is not None, "the stack was not started"
        return self._broker.bootstrap_servers

    @property
    def proxied_bootstrap_servers(self) -> str | None:
        """HOST:PORT of the fault proxy (`kafka_proxy`) that the second listener is advertised at."""
        return self._broker.proxied_bootstrap_servers if self._broker else None

    @property
    def proxied_upstream(self) -> str | None:
        """Where that proxy forwards to."""
        return self._broker.proxied_upstream if self._broker else None

    @property
    def connection(self) -> KafkaConnection:
        """How this program itself reaches Kafka, past every proxy."""
        return kafka_connection(self.bootstrap_servers, self.options.kafka_security)

    @property
    def gateway_url(self) -> str:
        return self.gateway_urls[0]

    # -- start and stop ------------------------------------------------------------------------------------

    async def start(self, progress: Progress | None = None) -> None:
        """Start everything at once and wait until every process says that it is ready."""
        self._progress = progress or self._progress
        self._gave_up = asyncio.get_running_loop().create_future()
        self._lock.acquire()
        for sentence in cautions(self.options):
            self._on_report(sentence)
        starting: asyncio.Task[None] | None = None
        try:
            (self.dir / STACK_FILE).unlink(missing_ok=True)  # of a stack that was killed
            self.api_keys = self._find_api_keys()
            self._broker = KeptBroker(self._make_broker(), self._changed, self._on_report)
            starting = asyncio.create_task(self._broker.start())
            await self._broker.wait_launched()
            for spec in self._specs():
                child = Child(spec, self._changed, self._on_report)
                self._children.append(child)
                child.start()
            await starting
            self._progress("waiting for the services")
            await self.wait_ready(timeout_s=START_TIMEOUT_S)
        except BaseException:
            await self.stop()
            if starting is not None:
                await asyncio.gather(starting, return_exceptions=True)  # why it failed is told already
            raise
        self._is_up = True
        self._changed()

    async def stop(self) -> None:
        """Stop in order: who takes payments first, the broker last. stack.json goes before all of them."""
        self._is_up = False
        (self.dir / STACK_FILE).unlink(missing_ok=True)
        for role in STOP_ORDER:
            await asyncio.gather(*(child.stop() for child in self._children if child.spec.role == role))
        if self._broker is not None:
            await self._broker.stop()
        for port in self._ports:
            port.close()
        self._lock.release()

    async def gave_up(self) -> Failure:
        """Returns only when a process cannot be kept running; a fenced one is reported, not given up on."""
        assert self._gave_up is not None, "the stack was not started"
        return await asyncio.shield(self._gave_up)

    # -- processes -----------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """Those that run at this moment."""
        running = [
            Process(child.spec.role, child.spec.index, child.pid, child.restarts)
            for child in self._children
            if child.pid is not None
        ]
        if self._broker is not None and self._broker.pid is not None:
            running.insert(0, Process("broker", 0, self._broker.pid, self._broker.restarts))
        return running

    def signal(self, role: str, index: int, number: int) -> None:
        """Send a signal to one process (SIGSTOP, SIGCONT ...)."""
        if role == "broker":
            self._kept_broker().signal(number)
        else:
            self._child(role, index).signal(number)

    async def kill(self, role: str, index: int, restart_after_s: float | None = 0.0) -> None:
        """SIGKILL one process; it comes back after the given time, with None only by `revive`."""
        if role == "broker":
            await self._kept_broker().kill(restart_after_s)
        else:
            await self._child(role, index).kill(restart_after_s)

    def revive(self, role: str, index: int) -> None:
        """Start a process that was killed with `restart_after_s=None`."""
        if role == "broker":
            self._kept_broker().revive()
        else:
            self._child(role, index).revive()

    async def wait_ready(
        self, role: str | None = None, index: int | None = None, timeout_s: float = START_TIMEOUT_S
    ) -> None:
        """Wait until every matching process answers, at this moment, that it is ready."""
        waiting = [
            child for child in self._children if role in (None, child.spec.role) and index in (None, child.spec.index)
        ]
        deadline = asyncio.get_running_loop().time() + timeout_s
        while waiting:
            failed = next((child for child in waiting if child.failure), None)
            if failed is not None:
                raise Failure(f"{failed.failure}", exit_code=failed.failure_code or 1)
            answers = await asyncio.gather(*(child.probe() for child in waiting))
            waiting = [child for child, is_ready in zip(waiting, answers, strict=True) if not is_ready]
            if waiting and asyncio.get_running_loop().time() > deadline:
                names = ", ".join(child.spec.name for child in waiting)
                raise Failure(f"Not ready after {timeout_s:g} s: {names}. Last: {waiting[0].last_words()}")
            if waiting:
                await asyncio.sleep(PROBE_EVERY_S)

    def description(self) -> dict[str, Any]:
        """What stack.json says."""
        return {
            "gateway_url": self.gateway_urls[0] if self.gateway_urls else None,
            "gateway_urls": self.gateway_urls,
            "console_url": None,
            "kafka": {"bootstrap_servers": self.bootstrap_servers},
            "namespace": self.namespace,
            "guarantee": self.guarantee,
            "api_keys": self.api_keys,
            "processes": [{"role": p.role, "index": p.index, "pid": p.pid} for p in self.processes()],
            "ledger_url": self.ledger_url,
        }

    # -- inside --------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        """A pid came or went: write stack.json anew, tell who listens, look whether somebody gave up."""
        if self._is_up:
            write_stack(self.dir, self.description())
        for child in self._children:
            if child.failure and child.failure_code == EXIT_FENCED and child not in self._fenced:
                self._fenced.append(child)
                self._on_report(child.failure)
            elif child.failure and child.failure_code != EXIT_FENCED:
                self._give_up(Failure(child.failure, exit_code=child.failure_code or 1))
        if self._broker is not None and self._broker.failure:
            self._give_up(Failure(self._broker.failure))
        for listener in self.on_change:
            listener()

    @property
    def _is_kafka_ours(self) -> bool:
        return self.options.kafka in ("embedded", "docker")

    def _make_broker(self) -> Broker:
        if self._is_kafka_ours and self.options.kafka_security is not None:
            raise UsageFailure("--kafka-security is for a cluster that is not ours: it goes with --kafka HOST:PORT.")
        loop = asyncio.get_running_loop()
        return make_broker(
            self.options.kafka,
            self.dir,
            lambda sentence: _say_later(loop, self._progress, sentence),
            proxy_address=self.options.kafka_proxy,
            cluster=None if self._is_kafka_ours else kafka_connection(self.options.kafka, self.options.kafka_security),
        )

    def _give_up(self, failure: Failure) -> None:
        if self._gave_up is not None and not self._gave_up.done():
            self._gave_up.set_result(failure)

    def _child(self, role: str, index: int) -> Child:
        for child in self._children:
            if (child.spec.role, child.spec.index) == (role, index):
                return child
        raise LookupError(f"this stack has no {role} {index}")

    def _kept_broker(self) -> KeptBroker:
        if self._broker is None or self._broker.pid is None:
            raise ProcessLookupError("this stack has no running broker of its own")
        return self._broker

    def _find_api_keys(self) -> dict[str, str]:
        if self.options.api_keys is not None:
            return read_api_keys(self.options.api_keys)
        return keep_api_keys(self._api_keys_file, self.options.merchants)

    @property
    def _api_keys_file(self) -> Path:
        return (self.options.api_keys or self.dir / "api-keys.json").absolute()

    def _hold_port(self, host: str = "127.0.0.1", port: int = 0) -> HeldPort:
        held = HeldPort(host, port)
        self._ports.append(held)
        return held

    def _specs(self) -> list[ChildSpec]:
        """Every service, with the port that it keeps through all its lives."""
        host, first_port = host_and_port(self.options.listen or "127.0.0.1:0")
        specs = []
        for role, count in (
            ("processor", self.options.processors),
            ("ledger", self.options.ledgers),
            ("gateway", self.options.gateways),
        ):
            for index in range(count):
                if role == "gateway":
                    held = self._hold_port(host, first_port + index if first_port else 0)
                    self.gateway_urls.append(f"http://{_reachable(host)}:{held.port}")
                else:
                    held = self._hold_port()
                specs.append(self._spec(role, index, held))
        return specs

    def _spec(self, role: str, index: int, held: HeldPort) -> ChildSpec:
        name = f"{role}-{index}"
        foreign = self.options.processor if role == "processor" else ()
        return ChildSpec(
            role=role,
            index=index,
            argv=foreign or (sys.executable, "-m", f"services.{role}"),
            environment=service_environment(
                self.options,
                kafka=self.proxied_bootstrap_servers or self.bootstrap_servers,
                directory=self.dir / name,
                listen=f"{_bracketed(held.host)}:{held.port}",
                api_keys=self._api_keys_file,
                ledger_url=self.ledger_url,
            )
            | ({"CLIENT_ID": foreign_client_id(index)} if foreign else {}),
            log=self.dir / "logs" / f"{name}.log",
            ready_url=None if foreign else f"http://{_reachable(held.host)}:{held.port}/readyz",
        )


def _reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on every address."""
    return _bracketed({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host))  # noqa: S104  compared, not bound


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
