"""The ledger as a FastStream application: what it consumes, and what it says of itself over HTTP.

In:      the worker that does the consuming, as a coroutine function.
Out:     FastStream, its lifespan running the worker; `/healthz`, `/readyz`, `/metrics`, `/docs` of it.
Errors:  the worker's own, raised when the application has stopped.
Source:  DESIGN, "The rooms": FastStream's own consume loop knows no positions past markers and sleeps
         when idle, so its broker object here only describes; the worker reads by services.kafka.
"""

import socket
from collections.abc import Callable
from typing import Any, Final

from faststream import FastStream
from faststream.asgi import AsgiResponse, get

from events.charges import ChargeEvent
from events.commands import Command
from events.keys import KeyRecord
from events.topics import ledger_group, topic_name
from services.application import Described, Routes, Work, application
from services.ledger.metrics import Metrics

STOP_WITHIN_S: Final = 5.0  # a database transaction in hand ends long before


def describe(namespace: str) -> Described:
    """What the ledger consumes. The handlers are documentation: nobody calls them."""
    broker = Described("localhost:9092", logger=None)
    group = ledger_group(namespace)

    def consumes(topic: str, title: str) -> Callable[[Callable[..., Any]], Any]:
        return broker.subscriber(
            topic_name(namespace, topic),
            group_id=group,
            batch=False,
            isolation_level="read_committed",
            title=title,
        )

    @consumes("charges", "Charge events, booked in double entry")
    async def book(event: ChargeEvent) -> None: ...

    @consumes("keys", "What each idempotency key holds")
    async def project_key(record: KeyRecord) -> None: ...

    @consumes("commands", "Attempts under each idempotency key")
    async def count_attempt(command: Command) -> None: ...

    return broker


def make_app(
    namespace: str,
    work: Work,
    listener: socket.socket | None,
    metrics: Metrics,
    is_ready: Callable[[], bool],
) -> FastStream:
    routes = _routes(metrics, is_ready)
    return application(describe(namespace), "Payonce ledger", work, STOP_WITHIN_S, listener, routes)


def _routes(metrics: Metrics, is_ready: Callable[[], bool]) -> Routes:
    @get
    async def healthz(_: Any) -> AsgiResponse:
        """The process runs."""
        return AsgiResponse(b'{"status":"ok"}', 200, {"content-type": "application/json"})

    @get
    async def readyz(_: Any) -> AsgiResponse:
        """Positions are loaded and every partition is being read."""
        if is_ready():
            return AsgiResponse(b'{"status":"ready"}', 200, {"content-type": "application/json"})
        return AsgiResponse(b'{"status":"starting"}', 503, {"content-type": "application/json"})

    @get
    async def counted(_: Any) -> AsgiResponse:
        """Prometheus metrics."""
        return AsgiResponse(metrics.text(), 200, {"content-type": metrics.content_type})

    return [("/healthz", healthz), ("/readyz", readyz), ("/metrics", counted)]
