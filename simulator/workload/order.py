"""What a load process is asked to do, and the one way to do it, in this process or in several.

In:      `LoadOrder`: the plan's arguments, which part of it, and by which way customers reach the system.
Out:     `OwnCustomers`: the run's customers in this process; `prepare`, then `run`, with a live `tally`.
Units:   seconds; `began` is an instant of the machine's monotonic clock, and so means the same to every process.
Errors:  Failure when the system cannot be reached at all; all else is an outcome.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from events.connection import KafkaConnection
from simulator.scenario.models import Load as Planned
from simulator.workload import latency_log
from simulator.workload.kafka_door import KafkaDoor
from simulator.workload.kafka_load import KafkaLoad
from simulator.workload.load import Door, Load, now_ms
from simulator.workload.plan import Purchase, stream_purchases
from simulator.workload.tally import Tally

GRACE_S = 30.0  # how long a customer may still be there after the last one came: a few patiences and backoffs


@dataclass(frozen=True)
class LoadOrder:
    """`part` of `parts` has the purchases whose number leaves that remainder."""

    seed: int
    load: Planned
    merchants: tuple[str, ...]
    salt: str
    api_keys: Mapping[str, str]
    doors: tuple[tuple[str, str], ...]  # name and URL of each way to a gateway
    connection: KafkaConnection
    namespace: str
    partitions: int
    part: int = 0
    parts: int = 1

    def purchases(self) -> Iterator[Purchase]:
        def ours(number: int) -> bool:
            return number % self.parts == self.part

        return stream_purchases(self.seed, self.load, self.merchants, self.salt, ours)


class History(Protocol):
    def write(self, line: Mapping[str, Any]) -> None: ...

    def write_all(self, lines: Sequence[str]) -> None: ...


class Customers(Protocol):
    """A run's customers, wherever they are; an asynchronous context."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def tally(self) -> Tally:
        """What is known so far; complete once `run` has returned or was cancelled."""

    async def prepare(self) -> None:
        """Everything that takes time, so that `run` begins at once."""

    async def run(self) -> None:
        """Returns when every customer has gone; cancelled, they are sent away first."""

    def merge(self, history: Path) -> None:
        """What was written elsewhere into the run's own files; `history` has the run's own lines so far."""


class OwnCustomers:
    """`async with OwnCustomers(order, history, dir) as customers: await customers.prepare(); await customers.run()`"""

    def __init__(self, order: LoadOrder, history: History, directory: Path, log_name: str = latency_log.FILE) -> None:
        self._order = order
        self._history = history
        self._latency_log = directory / log_name
        self._opened = AsyncExitStack()
        self._load: Load | KafkaLoad | None = None
        self._begin: Callable[[float | None], Any] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    @property
    def tally(self) -> Tally:
        return Tally() if self._load is None else self._load.tally

    async def prepare(self) -> None:
        order, warm_up_s = self._order, self._order.load.warm_up
        if order.load.via == "kafka":
            name = f"payonce-load-{now_ms():x}-{order.part}"
            door = await self._opened.enter_async_context(
                KafkaDoor(order.connection, order.namespace, order.partitions, name)
            )
            commands = KafkaLoad(order.seed, door, self._history.write_all, warm_up_s)
            self._load = commands
            self._begin = lambda began: commands.run(order.purchases(), GRACE_S, began)
        else:
            doors = [Door.at(name, url) for name, url in order.doors]
            requests = Load(order.seed, doors, order.api_keys, self._history.write, warm_up_s)
            self._load, purchases = requests, tuple(order.purchases())
            self._begin = lambda began: requests.run(purchases, GRACE_S, began)

    async def run(self, began: float | None = None, began_ms: int | None = None) -> None:
        """`began`, and the same instant by the wall clock, where another process decides it."""
        assert self._begin is not None, "prepare before you run"
        with latency_log.LatencyLog(self._latency_log, now_ms() if began_ms is None else began_ms) as log:
            self.tally.latencies.on_second = log.write
            await self._begin(began)

    def merge(self, history: Path) -> None:
        """Everything is where it belongs already."""
