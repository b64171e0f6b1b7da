"""The ledger as a FastStream application: what it consumes, and what it says of itself over HTTP.

In:      the worker that does the consuming, as a coroutine function.
Out:     FastStream, its lifespan running the worker; `/healthz`, `/readyz`, `/metrics`, `/docs` of it.
Errors:  the worker's own, raised when the application has stopped.
Source:  DESIGN, "The rooms": FastStream's own consume loop knows no positions past markers and sleeps
         when idle, so its broker object here only describes; the worker reads by services.kafka.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
from faststream import FastStream
from faststream.asgi import AsgiResponse, AsyncAPIRoute, get
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from events.charges import ChargeEvent
from events.commands import Command
from events.keys import KeyRecord
from events.topics import ledger_group, topic_name
from services.ledger.metrics import Metrics

STOP_WITHIN_S: Final = 5.0  # a database transaction in hand ends long before

Worker = Callable[[asyncio.Event], Awaitable[None]]


class Described(KafkaBroker):
    """Topics for the AsyncAPI document; connects to nothing."""

    async def start(self) -> None:
        self.running = True

    async def stop(self, *_: Any) -> None:
        self.running = False


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
    worker: Worker,
    listener: socket.socket | None,
    metrics: Metrics,
    is_ready: Callable[[], bool],
) -> FastStream:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        stopped = asyncio.Event()
        working = asyncio.ensure_future(worker(stopped))
        working.add_done_callback(lambda _: app.exit())
        serving, server = None, None
        if listener is not None:
            server = _server(app, metrics, is_ready)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            stopped.set()
            if server is not None and serving is not None:
                server.should_exit = True
                await serving
            await _end(working)

    title = "Payonce ledger"
    app = FastStream(
        describe(namespace), logger=None, lifespan=lifespan, specification=AsyncAPI(title=title, version="1")
    )
    return app


async def _end(working: "asyncio.Future[None]") -> None:
    """Let the worker finish; raises what it raised."""
    done, _ = await asyncio.wait({working}, timeout=STOP_WITHIN_S)
    if not done:
        working.cancel()
        await asyncio.wait({working})
    if not working.cancelled():
        working.result()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: FastStream has the process's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: FastStream, metrics: Metrics, is_ready: Callable[[], bool]) -> _Server:
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

    routes = app.as_asgi(
        asgi_routes=[("/healthz", healthz), ("/readyz", readyz), ("/metrics", counted)],
        asyncapi_path=AsyncAPIRoute("/docs", try_it_out_path=None),
    )
    return _Server(
        uvicorn.Config(routes, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
