"""A gateway on a real Kafka, alone or with a real processor and ledger, and ways to talk to it.

In:      a broker, a namespace, a folder.
Out:     a World: processes, addresses, merchants; `exchange` for bytes that no HTTP client would send.
"""

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from events.connection import connection
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import TopicPartition
from simulator.broker.embedded import EmbeddedBroker
from tests.support.services import ServiceProcess, service

PARTITIONS = 2
API_KEYS = {"acme": "sk_acme", "globex": "sk_globex"}
VALID = {"amount": 1000, "currency": "usd", "payment_method": "pm_card_visa"}


@dataclass
class World:
    kafka: EmbeddedBroker
    namespace: str
    environment: dict[str, str]
    directory: Path
    gateways: list[ServiceProcess] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.gateways[0].url

    def client(self, merchant: str = "acme", gateway: int = 0) -> httpx.Client:
        """A client that follows nothing, adds nothing, and has the merchant's key."""
        return httpx.Client(
            base_url=self.gateways[gateway].url,
            headers={"authorization": f"Bearer {API_KEYS[merchant]}"},
            timeout=30,
        )

    def commands_on_log(self) -> int:
        """How many records all partitions of `commands` have taken."""
        topic = topic_name(self.namespace, "commands")

        async def count() -> int:
            log = await KafkaLog.connect(connection(self.kafka.bootstrap_servers), client_id="test")
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            ends = await log.high_watermarks(partitions)
            await log.close()
            return sum(ends.values())

        return asyncio.run(count())


@contextmanager
def world(
    kafka: EmbeddedBroker,
    namespace: str,
    directory: Path,
    *gateways: dict[str, str],
    with_services: bool = True,
) -> Iterator[World]:
    """One gateway per environment given, at least one; with a processor and a ledger unless told otherwise."""
    keys = directory / "api-keys.json"
    keys.write_text(json.dumps(API_KEYS))
    environment = {
        "PAYONCE_KAFKA": kafka.bootstrap_servers,
        "PAYONCE_NAMESPACE": namespace,
        "PAYONCE_PARTITIONS": str(PARTITIONS),
        "PAYONCE_API_KEYS": str(keys),
        "PAYONCE_LISTEN": "127.0.0.1:0",
        "PAYONCE_LEDGER_URL": f"sqlite:///{directory / 'ledger.db'}",
    }
    made = World(kafka, namespace, environment, directory)
    with ExitStack() as stack:

        def start(role: str, name: str, more: dict[str, str]) -> ServiceProcess:
            return stack.enter_context(service(role, directory / name, environment | more, ready=False))

        made.gateways = [start("gateway", f"gateway-{n}", more) for n, more in enumerate(gateways or ({},))]
        others = [start(role, role, {}) for role in ("processor", "ledger")] if with_services else []
        for process in [*made.gateways, *others]:
            process.wait_ready()
        yield made


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def exchange(url: str, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these very bytes and read one response: status, headers (lower-case names), body."""
    with connect(url) as connected:
        connected.sendall(sent)
        return read_response(connected)


def read_response(connected: socket.socket) -> tuple[int, dict[str, str], bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connected.recv(65536)
        assert part, f"closed without a whole head: {received!r}"
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        part = connected.recv(65536)
        assert part, "closed in mid-body"
        body += part
    matched = re.match(r"HTTP/1\.1 (\d{3}) ", lines[0])
    assert matched is not None, lines[0]
    return int(matched[1]), headers, body


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    """The response is this problem, whole and well-formed."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    problem: dict[str, Any] = response.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
