"""An HTTP server of a few lines that answers payments as a test says, and customers who ask it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from simulator.workload.plan import Purchase, Step

CHARGE = {"amount": 100, "currency": "eur", "payment_method": "pm_card_visa"}
ANSWER = b'{"id":"ch_0","object":"charge"}'

Head = Callable[[int], tuple[int, float]]  # the n-th request: its status, and how long the answer takes


def customers(count: int, every_ms: float, persona: str = "careful") -> list[Purchase]:
    return [
        Purchase(n * every_ms, n, "shop", persona, Step(f"i-{n}", "charge.create", CHARGE, 0.0), ())
        for n in range(count)
    ]


@asynccontextmanager
async def gateway(head: Head) -> AsyncIterator[str]:
    """An HTTP server that answers as it is told."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = int(request.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                asked += 1
                status, takes_s = head(asked)
                await asyncio.sleep(takes_s)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(ANSWER), ANSWER))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
