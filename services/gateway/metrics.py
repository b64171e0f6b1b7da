"""What the gateway counts about itself, for Prometheus.

Units:   seconds, as Prometheus asks.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()

# From one processor transaction on an idle machine to the answer timeout.
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


class Metrics:
    """One registry for one gateway, so that two in one process (tests) do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "payonce_gateway_requests",
            "HTTP requests answered, by call and status.",
            ("call", "status"),
            registry=self.registry,
        )
        self.replayed = Counter(
            "payonce_gateway_replayed_answers",
            "Answers that an earlier command had decided.",
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "payonce_gateway_in_flight", "Commands sent and not answered yet.", registry=self.registry
        )
        self.waiting_limit = Gauge(
            "payonce_gateway_waiting_limit",
            "How many commands may be sent and not answered yet; one more request is answered 503.",
            registry=self.registry,
        )
        self._reply_seconds = Histogram(
            "payonce_gateway_reply_seconds",
            "From the command's send to its reply read from the log.",
            ("operation",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.freshness_seconds = Histogram(
            "payonce_gateway_freshness_seconds",
            "How long a GET waited for the read model to reach the log's end.",
            buckets=_SECONDS,
            registry=self.registry,
        )

        # Looking a child up by its labels costs more than to count in it.
        self._of_requests: dict[tuple[str, int], Counter] = {}
        self._of_reply_seconds: dict[str, Histogram] = {}

    def answered(self, call: str, status: int) -> None:
        counter = self._of_requests.get((call, status))
        if counter is None:
            counter = self._of_requests[call, status] = self._requests.labels(call, str(status))
        counter.inc()

    def replied_in(self, operation: str, seconds: float) -> None:
        histogram = self._of_reply_seconds.get(operation)
        if histogram is None:
            histogram = self._of_reply_seconds[operation] = self._reply_seconds.labels(operation)
        histogram.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
