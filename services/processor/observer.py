"""What a processor says of itself: readiness, counts for Prometheus, one log line a second at most.

Units:   seconds in metrics, as Prometheus asks; milliseconds in logs; offsets as Kafka counts them.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.kafka.errors import KafkaFailure
from services.kafka.port import Assignment
from services.processor.batch import Batch
from services.processor.holding import Holding
from services.processor.surroundings import Surroundings

SAY_EVERY_MS: Final = 1_000
_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
OUTCOMES: Final = ("executed", "replayed", "refused", "expired", "dead")

log = structlog.get_logger(__name__)


class Observer:
    """One registry for one processor, so that two in one process (tests) do not share counts."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, surroundings: Surroundings, on_ready: Callable[[], None] = lambda: None) -> None:
        self._surroundings = surroundings
        self._on_ready: Callable[[], None] | None = on_ready
        self.registry = CollectorRegistry()
        commands = Counter("payonce_processor_commands", "Commands by outcome.", ("outcome",), registry=self.registry)
        self._outcomes = {outcome: commands.labels(outcome) for outcome in OUTCOMES}
        self._keys_expired = Counter("payonce_processor_keys_expired", "Keys tombstoned.", registry=self.registry)
        self._seconds = Histogram(
            "payonce_processor_transaction_seconds",
            "From the first append to the commit.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._lost = Counter(
            "payonce_processor_transactions_lost",
            "Transactions that did not end well.",
            ("kind",),
            registry=self.registry,
        )
        self._position = Gauge(
            "payonce_processor_position", "The next command to execute.", ("partition",), registry=self.registry
        )
        self._lag = Gauge("payonce_processor_lag", "Commands not read yet.", ("partition",), registry=self.registry)
        self._states: dict[int, str] = {}
        self._positions: dict[int, int] = {}
        self._gauges: dict[int, Gauge] = {}  # of the positions: to find one by its label takes as long as all else
        self._joined = False
        self._said_ms = -float(SAY_EVERY_MS)
        self._unsaid = 0

    @property
    def is_ready(self) -> bool:
        """Joined, and every partition of ours taken over; to have none is fine."""
        return self._joined and "taking_over" not in self._states.values()

    @property
    def states(self) -> dict[int, str]:
        """`taking_over`, `running` or `stopped` for each partition of ours."""
        return dict(self._states)

    def assigned(self, assignment: Assignment, taking_over: Collection[int]) -> None:
        self._position.clear()
        self._gauges.clear()
        self._lag.clear()
        self._positions = {one: at for one, at in self._positions.items() if one in assignment.partitions}
        self._states = {one: "taking_over" if one in taking_over else "running" for one in assignment.partitions}
        self._joined = True

    def taken_over(self, positions: Mapping[int, int]) -> None:
        self._states |= dict.fromkeys(positions, "running")
        for partition, position in positions.items():
            self._at(partition, position)
        if self._on_ready is not None:
            self._on_ready()
            self._on_ready = None  # said once

    def _at(self, partition: int, position: int) -> None:
        self._positions[partition] = position
        gauge = self._gauges.get(partition)
        if gauge is None:
            gauge = self._gauges[partition] = self._position.labels(partition)
        gauge.set(position)

    def stopped(self, partition: int) -> None:
        self._states[partition] = "stopped"

    def resumed(self, partition: int) -> None:
        self._states[partition] = "running"

    def lost(self, error: KafkaFailure) -> None:
        self._lost.labels(type(error).__name__).inc()
        self._states = dict.fromkeys(self._states, "taking_over")

    def goes_on(self, partitions: Mapping[int, Holding]) -> None:
        """After something was lost, these stand where they stood."""
        self._states |= {
            one: "running" if holding.ahead_ms is None else "stopped" for one, holding in partitions.items()
        }

    def lagging(self, ends: Mapping[int, int]) -> None:
        """The end of `commands` in each partition of ours, as just seen."""
        for partition, end in ends.items():
            if partition in self._positions:
                self._lag.labels(partition).set(max(0, end - self._positions[partition]))

    def committed(self, batch: Batch, duration_ms: float) -> None:
        counts = batch.counts()
        for outcome, counter in self._outcomes.items():
            if counts[outcome]:
                counter.inc(counts[outcome])
        if counts["keys_expired"]:
            self._keys_expired.inc(counts["keys_expired"])
        self._seconds.observe(duration_ms / 1000)
        for partition, one in batch.partitions.items():
            self._at(partition, one.standing.position)
        now_ms = self._surroundings.elapsed_ms()
        if now_ms - self._said_ms < SAY_EVERY_MS:
            self._unsaid += 1
            return
        said: dict[str, Any] = {name: count for name, count in counts.items() if count}
        log.info(
            "kafka_transaction_committed",
            positions={str(one): settled.standing.position for one, settled in batch.partitions.items()},
            duration_ms=round(duration_ms, 1),
            since_last_line=self._unsaid,
            **said,
        )
        self._said_ms, self._unsaid = now_ms, 0

    def text(self) -> bytes:
        return generate_latest(self.registry)
