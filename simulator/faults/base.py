"""What a fault is: something that goes wrong in the world, on purpose, and is undone.

A fault is one class in one file. It says how often it strikes (`cadence`), what it disturbs (`disturbs`: two
faults that disturb the same thing never overlap), and how (`inject`). Its fields are what a scenario may set.
Whatever it breaks it mends before `inject` returns, also when it is cancelled. It never judges: it only
writes down each time it *bit*, with what proves it (`injection.hit`). A fault that was planned and never bit
makes the verdict unknown.

Units:   seconds, in fields ending _s; scenarios write durations with their unit.
Source:  Jepsen's nemesis; Toxiproxy's "one fault, one file".
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from events.guarantees import Guarantee
from simulator.durations import Seconds
from simulator.log_watch import LogWatch
from simulator.proxy.http import HttpLossProxy
from simulator.proxy.kafka import KafkaProxy


@dataclass(frozen=True, slots=True)
class Cadence:
    """When a fault strikes: first after `first_s`, then every `every_s`, each time for `lasts_s`.

    In a short run everything comes sooner: the first at `share` of the run at the latest.
    """

    first_s: float
    every_s: float
    share: float
    lasts_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Victim:
    """One process of the system."""

    role: str
    index: int
    pid: int


class Processes(Protocol):
    """The system's processes, as far as a vandal can reach them. Something else starts the dead ones
    again.
    """

    def running(self, role: str) -> Sequence[Victim]: ...

    def signal(self, victim: Victim, number: int) -> None:
        """Raises ProcessLookupError when it is gone."""

    async def kill(self, victim: Victim) -> None:
        """SIGKILL; returns when it is dead."""

    def instance(self, victim: Victim) -> str:
        """The name by which the log knows this process: the instance in its client ids."""


@dataclass
class Injection:
    """One strike of one fault: its own source of chance, how long it lasts, and what came of it."""

    fault: str
    number: int
    rng: Random
    lasts_s: float
    record: Callable[[str, Mapping[str, Any]], None]
    hits: int = 0
    found: dict[str, Any] = field(default_factory=dict)  # told when it ends

    def hit(self, **detail: Any) -> None:
        """It bit; `detail` is what proves it."""
        self.hits += 1
        self.record("hit", detail)


@dataclass(frozen=True)
class Scene:
    """What a fault may touch."""

    guarantee: Guarantee
    processes: Processes
    proxies: Sequence[HttpLossProxy]
    log: LogWatch
    say: Callable[[str], None]
    quiet: asyncio.Event = field(default_factory=asyncio.Event)  # set once the last customer has gone
    foreign_processor: bool = False  # somebody's own: it may or may not use Kafka transactions
    buried: set[str] = field(default_factory=set)  # member ids of the killed: their group misses them only later
    kafka: KafkaProxy | None = None  # between services and broker, where a fault of the run needs it

    @property
    def ways_to_work(self) -> tuple[Guarantee, ...]:
        """By what may be seen that work is half done: the guarantee's own way, or any that a stranger may use."""
        if not self.foreign_processor:
            return (self.guarantee,)
        return tuple(dict.fromkeys((self.guarantee, Guarantee.EXACTLY_ONCE, Guarantee.AT_LEAST_ONCE)))

    async def lasts(self, seconds: float) -> None:
        """Wait that long, or until it makes no difference any more."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.quiet.wait(), seconds)


Needs = Literal["", "kafka_link"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Fault(BaseModel, ABC):
    """One fault of one scenario: when it strikes, and its own parameters.

    Without times it strikes as its `cadence` says; `at` names every instant; `first` and `every` replace the
    cadence's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cadence: ClassVar[Cadence]
    disturbs: ClassVar[str] = ""  # what only one fault at a time may disturb; empty: nothing
    on_http: ClassVar[bool] = False  # it acts on the way between customers and gateways, and needs customers there
    needs: ClassVar[Needs] = ""  # what a run must put in place for it before anything starts
    processors: ClassVar[int] = 1  # it needs so many: where nobody can take over there is nothing to see
    under: ClassVar[frozenset[Guarantee]] = frozenset(Guarantee)  # where there is something for it to bite

    fault: str
    at: Annotated[tuple[Seconds, ...], Field(description="Instants from the start of the run.")] = ()
    first: Annotated[Seconds | None, Field(description="The first instant, where `at` is not given.")] = None
    every: Annotated[Seconds | None, Field(description="The distance between two strikes.")] = None
    lasts: Annotated[Seconds | None, Field(description="How long each strike lasts.")] = None

    @property
    def name(self) -> str:
        return self.fault

    @model_validator(mode="after")
    def _has_one_kind_of_times(self) -> Self:
        if self.at and (self.first is not None or self.every is not None):
            raise ValueError("`at` names every instant already; leave `first` and `every` out")
        if self.every == 0.0:
            raise ValueError("`every` must be longer than 0")
        return self

    @abstractmethod
    async def inject(self, scene: Scene, injection: Injection) -> None:
        """Break it, say when it bit, mend it."""
