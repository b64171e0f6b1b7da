"""The processor as a FastStream application: what goes in and out, and what it says of itself over HTTP.

In:      the worker that does it all, as a coroutine function.
Out:     FastStream, its lifespan running the worker; `/healthz`, `/readyz`, `/metrics`, `/docs` of it.
Errors:  the worker's own, raised when the application has stopped.
Source:  DESIGN, "The rooms": FastStream has no Kafka transactions, so its broker object here only describes.
         Keys, headers and cleanup policy of the topics are in `events`.
"""

import socket
from typing import Any, Final

import orjson
from faststream import FastStream
from faststream.asgi import AsgiResponse, get

from events.charges import ChargeEvent
from events.commands import Command
from events.keys import KeyRecord
from events.replies import Reply
from events.topics import processor_group, topic_name
from services.application import Described, Routes, Work, application
from services.processor.observer import Observer

STOP_WITHIN_S: Final = 8.0  # a transaction in hand, then leaving the group

_JSON: Final = {"content-type": "application/json"}


def describe(namespace: str) -> Described:
    """What the processor consumes and produces. The handler is documentation: nobody calls it."""
    broker = Described("localhost:9092", logger=None)

    @broker.subscriber(
        topic_name(namespace, "commands"),
        group_id=processor_group(namespace),
        batch=False,
        isolation_level="read_committed",
        title="Payment commands, decided in log order",
    )
    async def decide(command: Command) -> None: ...

    for topic, schema, title in (
        ("keys", KeyRecord, "The answer to each idempotency key; a tombstone when it has expired"),
        ("charges", ChargeEvent, "Charge events, exactly one for each executed command"),
        ("replies", Reply, "Answers, for the gateway that sent the command"),
        ("dead-letters", bytes, "Commands that are never executed, as received"),
    ):
        broker.publisher(topic_name(namespace, topic), title=title, schema=schema)
    return broker


def make_app(namespace: str, work: Work, listener: socket.socket | None, observer: Observer) -> FastStream:
    return application(describe(namespace), "Payonce processor", work, STOP_WITHIN_S, listener, _routes(observer))


def _routes(observer: Observer) -> Routes:
    def state(status: str, code: int) -> AsgiResponse:
        return AsgiResponse(orjson.dumps({"status": status, "partitions": _named(observer.states)}), code, _JSON)

    @get
    async def healthz(_: Any) -> AsgiResponse:
        """The process runs; what it does with each of its partitions."""
        return state("ok", 200)

    @get
    async def readyz(_: Any) -> AsgiResponse:
        """A member of the group, and every partition of ours taken over."""
        return state("ready", 200) if observer.is_ready else state("starting", 503)

    @get
    async def counted(_: Any) -> AsgiResponse:
        """Prometheus metrics."""
        return AsgiResponse(observer.text(), 200, {"content-type": observer.content_type})

    return [("/healthz", healthz), ("/readyz", readyz), ("/metrics", counted)]


def _named(states: dict[int, str]) -> dict[str, str]:
    return {str(partition): states[partition] for partition in sorted(states)}
