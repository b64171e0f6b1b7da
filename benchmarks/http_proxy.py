"""What the proxy before a gateway costs when it breaks nothing: requests a second with it and without it.

In:      requests (20,000), connections (16).
Out:     one line of text without the proxy and one with it; what it costs is the difference of CPU.
Units:   microseconds of CPU a request: customer, proxy and gateway share one process, so that others do not count.

`python -m benchmarks.http_proxy [REQUESTS] [CONNECTIONS]`; the gateway answers at once and decides nothing.
"""

import asyncio
import sys
import time

from simulator.proxy.http import HttpLossProxy

BODY = b'{"amount":1000,"currency":"usd","payment_method":"pm_card_visa","metadata":{"intent":"i-000001"}}'
REQUEST = (
    b"POST /v1/charges HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
    b'Authorization: Bearer sk_merchant_1\r\nIdempotency-Key: "00000000-0000-4000-8000-000000000000"\r\n'
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY
ANSWER_BODY = b'{"id":"ch_00000000000000000000000000000000","object":"charge","status":"succeeded"}'
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER_BODY)
ANSWER += ANSWER_BODY


async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readexactly(len(REQUEST)):
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def customer(host: str, port: int, count: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for _ in range(count):
        writer.write(REQUEST)
        await reader.readexactly(len(ANSWER))
    writer.close()


async def measure(name: str, host: str, port: int, requests: int, connections: int) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(customer(host, port, requests // connections) for _ in range(connections)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    sys.stdout.write(f"{name}: {requests / took:,.0f} requests/s, {cpu / requests * 1e6:.0f} µs of CPU a request\n")


async def main(requests: int = 20_000, connections: int = 16) -> None:
    server = await asyncio.start_server(gateway, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    proxy = HttpLossProxy("gateway 0", host, port)
    through = await proxy.start()
    await measure("warm-up", host, port, requests // 10, connections)
    for _ in range(3):
        await measure("straight", host, port, requests, connections)
        await measure("through the proxy", *through, requests, connections)
    await proxy.stop()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
