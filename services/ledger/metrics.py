"""What the ledger counts about itself, for Prometheus.

Units:   seconds, as Prometheus asks; offsets as Kafka counts them.

The consumer group is where positions are told for monitors to see; those that count are in the database.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.kafka.port import TopicPartition

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """One registry for one ledger, so that two in one process (tests) do not share counts."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, group: str) -> None:
        self.registry = CollectorRegistry()
        self._group = group
        self._records = Counter("payonce_ledger_records", "Records read.", ("group", "topic"), registry=self.registry)
        self._skipped = Counter(
            "payonce_ledger_records_skipped",
            "Records that could not be read or booked.",
            ("group", "topic"),
            registry=self.registry,
        )
        self._position = Gauge(
            "payonce_ledger_position",
            "The next offset to apply.",
            ("group", "topic", "partition"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "payonce_ledger_transaction_seconds",
            "From a fetched batch to its database transaction committed.",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def applied(self, records: Mapping[str, int], end: Mapping[TopicPartition, int], seconds: float) -> None:
        for topic, count in records.items():
            self._records.labels(self._group, topic).inc(count)
        for where, at in end.items():
            self._position.labels(self._group, where.topic, where.partition).set(at)
        self._seconds.observe(seconds)

    def skipped(self, topic: str) -> None:
        self._skipped.labels(self._group, topic).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
