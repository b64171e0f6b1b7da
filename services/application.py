"""A service as a FastStream application whose lifespan runs our own worker, and a small HTTP server beside it.

In:      a broker object that describes topics, the worker as a coroutine function, routes.
Out:     FastStream; `/docs` is its AsyncAPI page.
Errors:  the worker's own, raised when the application has stopped.
Source:  DESIGN, "The rooms": FastStream has no Kafka transactions and its consume loop sleeps when idle, so its
         broker object only describes; workers read and write by services.kafka.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from faststream import FastStream
from faststream.asgi import AsyncAPIRoute
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from services.quiet_server import QuietServer

Work = Callable[[asyncio.Event], Awaitable[None]]
Routes = Sequence[tuple[str, Any]]  # path and FastStream's `get` handler


class Described(KafkaBroker):
    """Topics for the AsyncAPI document; connects to nothing."""

    async def start(self) -> None:
        self.running = True

    async def stop(self, *_: Any) -> None:
        self.running = False


def application(
    broker: Described, title: str, work: Work, stop_within_s: float, listener: socket.socket | None, routes: Routes
) -> FastStream:
    """`work` runs until the event it is given is set, and `stop_within_s` longer at most; without a listener
    nobody is told anything over HTTP.
    """

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        stopped = asyncio.Event()
        working = asyncio.ensure_future(work(stopped))
        working.add_done_callback(lambda _: app.exit())
        serving, server = None, None
        if listener is not None:
            server = _server(app, routes)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            stopped.set()
            if server is not None and serving is not None:
                server.should_exit = True
                await serving
            await _end(working, stop_within_s)

    specification = AsyncAPI(title=title, version="1")
    app = FastStream(broker, logger=None, lifespan=lifespan, specification=specification)
    return app


async def _end(working: "asyncio.Future[None]", within_s: float) -> None:
    """Let the worker finish; raises what it raised."""
    done, _ = await asyncio.wait({working}, timeout=within_s)
    if not done:
        working.cancel()
        await asyncio.wait({working})
    if not working.cancelled():
        working.result()


def _server(app: FastStream, routes: Routes) -> QuietServer:
    pages = app.as_asgi(asgi_routes=routes, asyncapi_path=AsyncAPIRoute("/docs", try_it_out_path=None))
    return QuietServer(
        uvicorn.Config(pages, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
