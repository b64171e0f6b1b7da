"""Take every connection that waits at a listening socket, in whichever turn of the loop it is found there.

In:      a listening socket, what makes a protocol for each connection, and what refuses at the door: told the first
         bytes of a connection, it gives the answer to them, or None.
Out:     connections of the running loop, until it is closed.
Units:   connections; seconds.
Errors:  where the process may open no more files it waits a moment; whoever knocks waits in the kernel's queue.
Source:  libuv, below uvloop, accepts one connection of a listening socket in each turn of the loop
         (libuv/libuv#3696). A turn is the longer the more there is to do, so that of all times when many come, most
         are not even heard: they wait for seconds, where no count of ours sees them, and could not be refused.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

import structlog

from services.gateway.whole_post import BYTES_MAX

BACKLOG: Final = 4096  # what a tenth of a second may bring; who finds it full asks the kernel again after a second
AT_ONCE: Final = 512  # about twenty milliseconds, then those who are connected are heard
PAUSE_S: Final = 0.1
_NONE_LEFT: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = structlog.get_logger()


class Acceptor:
    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.BaseProtocol],
        refuse: Callable[[bytes], bytes | None],
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[object]] = set()
        self._again: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._look()

    def close(self) -> None:
        """Nobody new; the listening socket itself is its owner's."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listener)

    def _look(self) -> None:
        self._again = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # gone before it was its turn
            except OSError as error:
                if error.errno not in _NONE_LEFT:
                    raise
                _log.warning("connections_not_accepted", why=error.strerror)
                self._loop.remove_reader(self._listener)
                self._again = self._loop.call_later(PAUSE_S, self._look)
                return
            connection.setblocking(False)
            self._answer_at_the_door(connection)
            arriving = self._loop.create_task(self._loop.connect_accepted_socket(self._make_protocol, connection))
            self._arriving.add(arriving)
            arriving.add_done_callback(self._arriving.discard)

    def _answer_at_the_door(self, connection: socket.socket) -> None:
        """Refuse what has come already, two turns of the loop before its protocol would hear of it."""
        try:
            received = connection.recv(BYTES_MAX, socket.MSG_PEEK)
            answer = self._refuse(received) if received else None
            if answer is not None:
                connection.send(answer)  # less than any socket's buffer
                connection.recv(len(received))
        except OSError:
            return  # nothing has come yet, or it is gone: its protocol hears of either
