"""The processor as a FastStream application: what goes in and out, and what it says of itself over HTTP.

In:      the worker that does it all, as a coroutine function.
Out:     FastStream, its lifespan running the worker; `/healthz`, `/readyz`, `/metrics`, `/docs` of it.
Errors:  the worker's own, raised when the application has stopped.
Source:  DESIGN, "The rooms": FastStream has no Kafka transactions, so its broker object here only describes.
         Keys, headers and cleanup policy of the topics are in `events`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import orjson
import uvicorn
from faststream import FastStream
from faststream.asgi import AsgiResponse, AsyncAPIRoute, get
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from events.charges import ChargeEvent
from events.commands import Command
from events.keys import KeyRecord
from events.replies import Reply
from events.topics import processor_group, topic_name
from services.processor.observer import Observer

STOP_WITHIN_S: Final = 8.0  # a transaction in hand, then leaving the group

Work = Callable[[asyncio.Event], Awaitable[None]]
_JSON: Final = {"content-type": "application/json"}


class Described(KafkaBroker):
    """Topics for the AsyncAPI document; connects to nothing."""

    async def start(self) -> None:
        self.running = True

    async def stop(self, *_: Any) -> None:
        self.running = False


def describe(namespace: str) -> Described:
    """What the processor consumes and produces. The handler is documentation: nobody calls it."""
    broker = Described("localhost:9092", logger=None)

    @broker.subscriber(
        topic_name(namespace, "commands"),
        group_id=processor_group(namespace),
        batch=False,
        isolation_level="read_committed",
        title="Payment commands, decided in log order",
    )
    async def decide(command: Command) -> None: ...

    for topic, schema, title in (
        ("keys", KeyRecord, "The answer to each idempotency key; a tombstone when it has expired"),
        ("charges", ChargeEvent, "Charge events, exactly one for each executed command"),
        ("replies", Reply, "Answers, for the gateway that sent the command"),
        ("dead-letters", bytes, "Commands that are never executed, as received"),
    ):
        broker.publisher(topic_name(namespace, topic), title=title, schema=schema)
    return broker


def make_app(namespace: str, work: Work, listener: socket.socket | None, observer: Observer) -> FastStream:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        stopped = asyncio.Event()
        working = asyncio.ensure_future(work(stopped))
        working.add_done_callback(lambda _: app.exit())
        serving, server = None, None
        if listener is not None:
            server = _server(app, observer)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            stopped.set()
            if server is not None and serving is not None:
                server.should_exit = True
                await serving
            await _end(working)

    specification = AsyncAPI(title="Payonce processor", version="1")
    app = FastStream(describe(namespace), logger=None, lifespan=lifespan, specification=specification)
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


def _server(app: FastStream, observer: Observer) -> _Server:
    def state(status: str, code: int) -> AsgiResponse:
        return AsgiResponse(orjson.dumps({"status": status, "partitions": _named(observer.states)}), code, _JSON)

    @get
    async def healthz(_: Any) -> AsgiResponse:
        """The process runs; what it does with each of its partitions."""
        return state("ok", 200)

    @get
    async def readyz(_: Any) -> AsgiResponse:
        """A member of the group, and every partition of ours taken over."""
        return state("ready", 200) if observer.is_ready else state("starting", 503)

    @get
    async def counted(_: Any) -> AsgiResponse:
        """Prometheus metrics."""
        return AsgiResponse(observer.text(), 200, {"content-type": observer.content_type})

    routes = app.as_asgi(
        asgi_routes=[("/healthz", healthz), ("/readyz", readyz), ("/metrics", counted)],
        asyncapi_path=AsyncAPIRoute("/docs", try_it_out_path=None),
    )
    return _Server(
        uvicorn.Config(routes, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )


def _named(states: dict[int, str]) -> dict[str, str]:
    return {str(partition): states[partition] for partition in sorted(states)}
