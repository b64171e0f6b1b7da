"""Losses of requests and responses, carried out in a proxy between a real client and a real server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from events.guarantees import Guarantee
from simulator.faults.base import Fault, Injection, Processes, Scene
from simulator.faults.lose_request import LoseRequest
from simulator.faults.lose_response import LoseResponse
from simulator.log_watch import LogWatch
from simulator.proxy.http import HttpLossProxy
from simulator.seeded import seeded
from simulator.workload.http_client import HttpClient, OutcomeUnknownError


@asynccontextmanager
async def served(received: list[bytes]) -> AsyncIterator[tuple[Scene, HttpClient]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                received.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = HttpLossProxy("gateway 0", *server.sockets[0].getsockname()[:2])
    client = HttpClient(*await proxy.start())
    nobody = cast("Processes", None)
    scene = Scene(Guarantee.EXACTLY_ONCE, nobody, (proxy,), cast("LogWatch", None), lambda _: None)
    try:
        yield scene, client
    finally:
        client.close()
        await proxy.stop()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(("fault", "arrived"), [(LoseRequest(), 0), (LoseResponse(), 1)])
async def test_the_first_one_that_passes_is_lost(fault: Fault, arrived: int) -> None:
    """While a loss is on, it bites at once; a lost request has not arrived, a lost response was given."""
    received: list[bytes] = []
    hits: list[Mapping[str, Any]] = []
    async with served(received) as (scene, client):
        injection = Injection(fault.name, 1, seeded(1), 30.0, lambda _phase, detail: hits.append(detail))
        on = asyncio.create_task(fault.inject(scene, injection))
        await asyncio.sleep(0)
        with pytest.raises(OutcomeUnknownError):
            await client.request("POST", "/", {}, patience_ms=200.0)
        assert len(received) == arrived
        assert injection.hits == 1
        assert hits[0]["gateway"] == "gateway 0"
        assert hits[0]["bytes"] > 0
        on.cancel()
        await asyncio.gather(on, return_exceptions=True)
        for _ in range(20):
            assert (await client.request("POST", "/", {}, patience_ms=2_000.0)).status == 204
