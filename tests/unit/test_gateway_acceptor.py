"""Whoever knocks is heard in the next turns of the loop, however many knock at once, and whatever files are left."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import uvloop

from services.gateway.acceptor import AT_ONCE, Acceptor
from services.starting import listening_socket
from tests.support.wait import wait_until

TURNS = 8  # to accept, to make the connection, to tell of it; thirty-two a turn would take more


class Heard(asyncio.Protocol):
    connections: list[asyncio.BaseTransport]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connections.append(transport)


def nobody(_: bytes) -> None:
    """Nobody is refused at the door."""


def knock(listener: socket.socket, opened: ExitStack) -> None:
    opened.enter_context(closing(socket.create_connection(listener.getsockname(), timeout=10)))


@contextmanager
def no_more_files() -> Iterator[None]:
    """As if all that the process may open were open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)  # the descriptor that the next file would have
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_all_who_wait_are_let_in_at_once() -> None:
    """Not one in each turn of the loop, which is the longer the more there is to do."""

    async def run() -> None:
        heard = type("Heard", (Heard,), {"connections": []})
        with ExitStack() as opened, closing(listening_socket("127.0.0.1", 0)) as listener:
            acceptor = Acceptor(listener, heard, nobody)
            for _ in range(AT_ONCE):
                knock(listener, opened)
            for _ in range(TURNS):
                await asyncio.sleep(0)
            assert len(heard.connections) == AT_ONCE
            acceptor.close()
            for transport in heard.connections:
                transport.close()

    uvloop.run(run())


def test_who_finds_no_file_left_is_let_in_later() -> None:
    """The loop goes on meanwhile, and the connection stays in the kernel's queue."""

    async def run() -> None:
        heard = type("Heard", (Heard,), {"connections": []})
        with ExitStack() as opened, closing(listening_socket("127.0.0.1", 0)) as listener:
            acceptor = Acceptor(listener, heard, nobody)
            knock(listener, opened)
            with no_more_files():
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                assert heard.connections == []

            async def is_heard() -> bool:
                return len(heard.connections) == 1

            await wait_until(is_heard, timeout_s=10, message="nobody was let in")
            acceptor.close()
            heard.connections[0].close()

    uvloop.run(run())


def test_a_closed_one_lets_nobody_in() -> None:
    """Who knocks then is not its own business."""

    async def run() -> None:
        heard = type("Heard", (Heard,), {"connections": []})
        with ExitStack() as opened, closing(listening_socket("127.0.0.1", 0)) as listener:
            Acceptor(listener, heard, nobody).close()
            knock(listener, opened)
            for _ in range(TURNS):
                await asyncio.sleep(0)
            assert heard.connections == []

    uvloop.run(run())
