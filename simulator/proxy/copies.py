"""Requests that the network delivers once more: recorded as they pass, sent again on connections of their own.

In:      a passage whose request is to be recorded; the gateway's address.
Out:     `RecordedRequest`, the very bytes; `Delivery`, when they were sent again and what the gateway answered to them.
Units:   instants in Unix milliseconds, in fields ending _at; seconds in names ending _S; bytes.
Errors:  OSError when the gateway cannot be reached: then nothing was delivered. An answer that does not come leaves
         the delivery's `status` None: it arrived, and nobody knows what became of it.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.proxy.http_message import HttpMessage
from simulator.proxy.toxic import Passage, Treatment

RECORDED_MAX = 128 * 1024  # bytes of one request; the gateway takes a body of 32 KiB at most
ANSWERED_S = 25.0  # the gateway itself gives up after 20 s


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One whole request as it went by."""

    gateway: str
    raw: bytes
    method: str
    target: str
    idempotency_key: str | None
    intent: str | None  # where its body carries one (metadata.intent)
    passed_at: int

    @classmethod
    def of(cls, gateway: str, raw: bytes, message: HttpMessage) -> "RecordedRequest":
        key = message.headers.get("idempotency-key")
        return cls(
            gateway, raw, message.method, message.target, key and key.strip('"'), _intent(message.body), now_ms()
        )


@dataclass(slots=True)
class Delivery:
    """One more delivery of a request. `made` is the id of the charge or refund in its answer."""

    request: RecordedRequest
    sent_at: int | None = None
    answered_at: int | None = None
    status: int | None = None
    replayed: bool | None = None
    made: str | None = None

    def told(self) -> dict[str, Any]:
        """What a history has to know of it: which request arrived again, when, and what it caused."""
        request = self.request
        return {
            "gateway": request.gateway,
            "manner": "copy",
            "request": f"{request.method} {request.target}",
            "idempotency_key": request.idempotency_key,
            "intent": request.intent,
            "bytes": len(request.raw),
            "passed_at": request.passed_at,
            "sent_at": self.sent_at,
            "answered_at": self.answered_at,
            "status": self.status,
            "replayed": self.replayed,
            "made": self.made,
        }


class Recording(Treatment):
    """Lets a request pass and keeps its bytes; `whole` gets them as soon as the last one has passed."""

    def __init__(self, passage: Passage, whole: Callable[[RecordedRequest], None]) -> None:
        super().__init__(passage)
        self._whole: Callable[[RecordedRequest], None] | None = whole
        self._message = HttpMessage(passage.direction)
        self._raw = bytearray()

    def take(self, part: bytes) -> None:
        self.passage.forward(part)
        whole = self._whole
        if whole is None:
            return
        self._message.feed(part)
        self._raw += part
        if self._message.whole:
            self.let_go()
            whole(RecordedRequest.of(self.passage.gateway, bytes(self._raw), self._message))
        elif self._message.broken or len(self._raw) > RECORDED_MAX:
            self.let_go()

    def let_go(self) -> None:
        """Nothing is held; no more is recorded."""
        self._whole = None


async def deliver(host: str, port: int, delivery: Delivery) -> None:
    """Send the same bytes on a connection of their own and read the answer, which nobody else gets."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        delivery.sent_at = now_ms()
        writer.write(delivery.request.raw)
        answer = HttpMessage("response")
        async with asyncio.timeout(ANSWERED_S):
            while not answer.whole and not answer.broken and (part := await reader.read(65_536)):
                answer.feed(part)
        if answer.whole:
            delivery.answered_at, delivery.status = now_ms(), answer.status
            delivery.replayed = answer.headers.get("idempotent-replayed") == "true"
            delivery.made = _made(answer.body)
    except (OSError, TimeoutError):
        return
    finally:
        writer.close()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _intent(body: bytes) -> str | None:
    return _text(body, "metadata", "intent")


def _made(body: bytes) -> str | None:
    return _text(body, "id") or _text(body, "charge_id")


def _text(body: bytes, *path: str) -> str | None:
    try:
        found = json.loads(body)
        for name in path:
            found = found[name]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None
