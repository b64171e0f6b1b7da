"""A stage for scenes with real processes: one partition of a namespace, and services that share a bug, or have none.

In:      a real Kafka, a bug's name or None.
Out:     commands appended straight to the log, so that nothing but the bug can be the cause; the audit's findings.
Units:   seconds, where a wait is bounded.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as Theirs

from events.connection import connection
from events.options import duration_ms
from events.topics import topic_name
from services.kafka.port import Outgoing
from services.readmodel import ReadModel
from simulator.audit.report import Report
from simulator.audit_run import audit_namespace
from simulator.proxy.kafka import KafkaProxy
from tests.support.databases import sqlite_url
from tests.support.log_worlds import ProxiedBroker
from tests.support.processor_worlds import KafkaWorld
from tests.support.services import ServiceProcess, service
from tests.support.wait import wait_until

WITHIN_S = 30.0
MERCHANT, API_KEY = "shop", "sk_shop"


class Stage:
    """One partition of a namespace, and services that all have the same bug, or none."""

    def __init__(
        self, kafka: ProxiedBroker, namespace: str, directory: Path, bug: str | None, key_ttl: str = "24h"
    ) -> None:
        self.kafka = kafka
        self.connection = connection(kafka.broker.bootstrap_servers)
        self.namespace = namespace
        self.world = KafkaWorld(namespace, 1, self.connection)
        self.ledger_url: str | None = None
        self.key_ttl_ms = duration_ms(key_ttl)
        self._directory = directory
        directory.mkdir(exist_ok=True)
        self.asked = self._position = 0
        self.history: list[dict[str, Any]] = []  # of customers, where any came
        self._environment = {
            "PAYONCE_KAFKA": kafka.broker.bootstrap_servers,
            "PAYONCE_NAMESPACE": namespace,
            "PAYONCE_PARTITIONS": "1",
            "PAYONCE_KEY_TTL": key_ttl,
            "PAYONCE_BREAK": bug or "",
        }

    def folder(self, name: str) -> Path:
        return self._directory / name

    @contextmanager
    def processor(self, name: str = "processor", *, ready: bool = True, **more: str) -> Iterator[ServiceProcess]:
        """The same name is the same one, started again; ended in good order unless it was killed or is gone."""
        with service("processor", self.folder(name), self._environment | more, ready=ready) as running:
            yield running
            if running.process.poll() is None:
                assert running.stop() == 0, running.log()

    @contextmanager
    def ledger(self) -> Iterator[None]:
        self.ledger_url = sqlite_url(self._directory)
        environment = self._environment | {"PAYONCE_LEDGER_URL": self.ledger_url}
        with service("ledger", self.folder("ledger"), environment):
            yield

    @contextmanager
    def gateway(self) -> Iterator[ServiceProcess]:
        keys = self._directory / "api-keys.json"
        keys.write_text(json.dumps({MERCHANT: API_KEY}))
        environment = self._environment | {"PAYONCE_API_KEYS": str(keys)}
        with service("gateway", self.folder("gateway"), environment) as running:
            yield running

    async def customer_pays(self, gateway: ServiceProcess, key: str) -> None:
        """One customer asks once, waits for the answer, and both are in the history."""
        payload = {"amount": 500, "currency": "eur", "payment_method": "pm_card_visa"}
        asked = {"intent": key, "attempt": 1, "merchant_id": MERCHANT, "idempotency_key": key}
        asked |= {"operation": "charge.create", "payload": payload}
        if not self.history:
            told = {"namespace": self.namespace, "guarantee": "exactly-once", "started_at": _now_ms(), "faults": []}
            self.history.append({"kind": "run", **told})
        self.history.append({"kind": "invoke", "at": _now_ms(), **asked})
        headers = {"authorization": f"Bearer {API_KEY}", "idempotency-key": key}
        async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=WITHIN_S) as client:
            answer = await client.post("/v1/charges", json=payload)
        self.asked += 1
        heard = {"status": answer.status_code, "replayed": "idempotent-replayed" in answer.headers, "body": answer.text}
        self.history.append({"kind": "ok", "intent": key, "attempt": 1, "at": _now_ms(), **heard})

    @asynccontextmanager
    async def proxy(self) -> AsyncIterator[KafkaProxy]:
        """A network between a processor and Kafka; whoever is to go through it is told its address."""
        proxy = self.kafka.proxy()
        await proxy.start()
        try:
            yield proxy
        finally:
            await proxy.close()

    async def ask(self, *commands: Outgoing) -> None:
        """Append, and do not wait for anybody."""
        await self.world.append(*commands)
        self.asked += len(commands)

    async def settle(self) -> None:
        """Wait until the processor's position is past every command."""
        await wait_until(self.is_settled, timeout_s=WITHIN_S, message=lambda: f"at {self._position} of {self.asked}")

    async def is_settled(self) -> bool:
        position = (await self.world.positions()).get(0)
        self._position = 0 if position is None else position["position"]
        return self._position >= self.asked

    async def pay(self, *commands: Outgoing) -> None:
        await self.ask(*commands)
        await self.settle()

    async def let_pass(self, ms: int) -> None:
        """Until the log's clock will be so much further on: the broker is on this machine."""
        until = time.time() * 1_000 + ms
        await wait_until(lambda: time.time() * 1_000 > until, timeout_s=WITHIN_S, message="time stands still")

    async def book(self) -> None:
        """Wait until the ledger is past every event."""
        assert self.ledger_url is not None
        charges = topic_name(self.namespace, "charges")
        read, last = ReadModel(self.ledger_url), (await self.world.read("charges"))[-1].record.offset
        try:
            await wait_until(
                lambda: (read.position(charges, 0) or 0) > last,
                timeout_s=WITHIN_S,
                message=lambda: f"the ledger is at {read.position(charges, 0)}, the last event at {last}",
            )
        finally:
            read.close()

    @asynccontextmanager
    async def next_record(self, topic: str) -> AsyncIterator[Awaitable[object]]:
        """To wait for whatever is appended to this topic next, committed or not."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.connection.bootstrap)
        await consumer.start()
        try:
            where = Theirs(topic_name(self.namespace, topic), 0)
            consumer.assign([where])
            consumer.seek(where, (await consumer.end_offsets([where]))[where])
            yield asyncio.wait_for(consumer.getone(), WITHIN_S)
        finally:
            await consumer.stop()

    async def audited(self) -> Report:
        return await audit_namespace(
            self.connection, self.namespace, history=self.history or None, ledger_url=self.ledger_url
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
