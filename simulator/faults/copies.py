"""Copies of requests that a fault has chosen, each on its way to its gateway.

In:      recorded requests, and when each is to be delivered.
Out:     a hit for every copy that was sent: which request, when, and how the gateway answered it.
Errors:  none: a copy that finds no gateway was lost, as networks lose things, and is no hit.
"""

import asyncio
from collections.abc import Awaitable, Callable

from simulator.faults.base import Injection, Scene
from simulator.proxy.copies import Delivery, RecordedRequest, deliver


class Copies:
    """`async with Copies(scene, injection) as copies:` waits for those on their way; cancelled, it recalls them."""

    def __init__(self, scene: Scene, injection: Injection) -> None:
        self._injection = injection
        self._proxies = {proxy.name: proxy for proxy in scene.proxies}
        self._on_their_way: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._on_their_way)

    def send(self, request: RecordedRequest, after: Callable[[], Awaitable[None]] | None = None) -> None:
        """At once, or when `after` says so."""
        task = asyncio.create_task(self._deliver(request, after))
        self._on_their_way.add(task)
        task.add_done_callback(self._on_their_way.discard)

    async def _deliver(self, request: RecordedRequest, after: Callable[[], Awaitable[None]] | None) -> None:
        if after is not None:
            await after()
        proxy = self._proxies[request.gateway]
        delivery = Delivery(request)
        try:
            await deliver(proxy.host, proxy.port, delivery)
        except OSError:
            return
        finally:
            if delivery.sent_at is not None:  # also when it is cancelled: the copy has left
                self._injection.hit(**delivery.told())

    async def __aenter__(self) -> "Copies":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self._all_delivered()
        finally:
            for task in list(self._on_their_way):
                task.cancel()
            await asyncio.gather(*self._on_their_way, return_exceptions=True)

    async def _all_delivered(self) -> None:
        while self._on_their_way:
            await asyncio.wait(self._on_their_way)
