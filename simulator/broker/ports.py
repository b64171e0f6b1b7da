"""Ports that the kernel chose and that stay ours while the broker is down.

In:      how many.
Out:     that many free ports of 127.0.0.1, the same ones for as long as the object lives.
Source:  Linux lets two sockets with SO_REUSEADDR bind one port as long as neither listens, and gives a port that is
         bound to nobody else who asks for "any". Java's server sockets set SO_REUSEADDR. So we bind and never listen:
         the broker can come and go, and no client's connection is given its port in between (one that retries against
         a dead broker could even be given that very port and connect to itself).
"""

import socket
import sys

HOST = "127.0.0.1"


class ReservedPorts:
    """A set of ports, held by bound sockets that never listen."""

    def __init__(self, count: int) -> None:
        self._sockets: list[socket.socket] = []
        for _ in range(count):
            held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((HOST, 0))
            self._sockets.append(held)
        self.numbers = [int(held.getsockname()[1]) for held in self._sockets]
        if sys.platform != "linux":  # elsewhere a bound port is taken, even for whoever allows reuse
            self.release()

    def release(self) -> None:
        """Let go of the ports; whoever listens on them goes on."""
        for held in self._sockets:
            held.close()
        self._sockets.clear()
