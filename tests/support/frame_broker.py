"""A broker that knows frames and nothing else, behind the Kafka proxy: every answer is the request's own number.

Out:     the broker (what has arrived, by name and client), the proxy, clients that send requests and wait for answers.
"""

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from simulator.proxy.kafka import KafkaProxy, SeenRequest, listen, parse_request
from simulator.proxy.kafka_frames import wrapped

API_KEYS = {"Produce": 0, "Fetch": 1, "OffsetCommit": 8, "Heartbeat": 12, "EndTxn": 26, "TxnOffsetCommit": 28}
WITHIN_S = 10.0


class FrameBroker:
    def __init__(self) -> None:
        self.arrived: list[SeenRequest] = []
        self.payload = b""  # behind the number, in every answer
        self.address = ""
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def end(self) -> None:
        for writer in self._serving.values():
            writer.close()
        await asyncio.gather(*self._serving)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        try:
            while True:
                request = parse_request(await _read_frame(reader))
                self.arrived.append(request)
                writer.write(wrapped(struct.pack(">i", request.correlation_id) + self.payload))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            del self._serving[task]

    def names(self) -> list[str]:
        return [request.name for request in self.arrived]


class FrameClient:
    """One connection of one client id; a request is its name and some bytes."""

    def __init__(self, client_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.client_id = client_id.encode()
        self.reader = reader
        self.writer = writer
        self._numbers = itertools.count(1)

    @classmethod
    async def connect(cls, to: KafkaProxy | str, client_id: str) -> "FrameClient":
        host, _, port = (to if isinstance(to, str) else to.address).rpartition(":")
        return cls(client_id, *await asyncio.open_connection(host, int(port)))

    def send(self, name: str, body: bytes = b"") -> int:
        number = next(self._numbers)
        head = struct.pack(">hhih", API_KEYS[name], 0, number, len(self.client_id))
        self.writer.write(wrapped(head + self.client_id + body))
        return number

    async def answer(self) -> int:
        """The number of the request that is answered; raises IncompleteReadError or ConnectionError when it broke."""
        async with asyncio.timeout(WITHIN_S):
            (number,) = struct.unpack_from(">i", await _read_frame(self.reader))
        return int(number)

    async def ask(self, name: str, body: bytes = b"") -> None:
        number = self.send(name, body)
        assert await self.answer() == number

    async def is_broken(self) -> bool:
        """Whether the connection ends instead of giving another answer."""
        try:
            await self.answer()
        except (asyncio.IncompleteReadError, ConnectionError):
            return True
        return False


async def _read_frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


@asynccontextmanager
async def broker_behind_proxy() -> AsyncIterator[tuple[FrameBroker, KafkaProxy]]:
    broker = FrameBroker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.address = "{}:{}".format(*server.sockets[0].getsockname()[:2])
    with listen() as listening:
        proxy = KafkaProxy(lambda: broker.address, listening)
        await proxy.start()
        try:
            yield broker, proxy
        finally:
            await proxy.close()
            server.close()
            await broker.end()
