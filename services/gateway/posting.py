"""One POST, from a checked request to its answer: a command onto the log, its reply off it.

In:      merchant, operation, key, payload.
Out:     the reply as it stands on the log; a Problem when nothing was sent (409, 413, 503) or is known (504).
Units:   instants in Unix milliseconds, time limits in seconds.
Errors:  Problem. The rule: 503 only when provably nothing was sent; once the command may have left, the
         answer is the reply or 504, whatever else goes wrong.
Source:  CONTRACT, "HTTP"; DESIGN, "Gateway".
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import orjson

from events.commands import COMMAND_BYTES_MAX
from events.fingerprint import fingerprint
from services.gateway import command_ids
from services.gateway.admission import Admission
from services.gateway.answers import RETRY_AFTER, Answer, Problem, from_log
from services.gateway.metrics import Metrics
from services.gateway.replies import ReplyDesk
from services.kafka.errors import KafkaFailure, NotSent
from services.kafka.port import Outgoing

InFlight = Literal["wait", "conflict"]

IN_DOUBT_S: Final = 2.0  # a send that may have failed: its reply comes soon or never, and a retry finds out sooner
# A command is refused after this long without a processor: every unknown outcome becomes final.
DEADLINE_AFTER_TIMEOUT_MS: Final = 60_000


class Commands(Protocol):
    """Where commands go."""

    async def send(self, record: Outgoing) -> None:
        """Append, and wait until the log has it. NotSent: it is certainly not on the log, and will not be."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that passed every check."""

    merchant_id: str
    operation: str
    idempotency_key: str | None
    payload: dict[str, Any]
    traceparent: bytes | None = None


class Posting:
    def __init__(
        self,
        commands: Commands,
        desk: ReplyDesk,
        metrics: Metrics,
        *,
        answer_timeout_ms: int,
        in_flight: InFlight,
        admission: Admission,
        clock_ms: Callable[[], int],
    ) -> None:
        self._commands = commands
        self._desk = desk
        self._metrics = metrics
        self._answer_timeout_s = answer_timeout_ms / 1000
        self._deadline_after_ms = answer_timeout_ms + DEADLINE_AFTER_TIMEOUT_MS
        self._conflict = in_flight == "conflict"
        self._admission = admission
        self._clock_ms = clock_ms
        self._in_flight: set[tuple[str, str, str]] = set()

    def is_full(self, coming: int = 0) -> bool:
        """Whether one more request would have to wait too long, behind so many that have not begun."""
        return not self._admission.allows(len(self._desk) + coming, self._desk.oldest_s)

    def admit(self) -> None:
        """Raises Problem when it is full; asked before the body is looked at."""
        if self.is_full():
            raise Problem("unavailable", "Too many requests are waiting; nothing was sent.", RETRY_AFTER)

    async def answer(self, request: Request) -> Answer:
        if not self._conflict or request.idempotency_key is None:
            return await self._ask(request)
        # Another request under the same key goes to the log, which answers 422; only the same one is refused.
        mark = (
            request.merchant_id,
            request.idempotency_key,
            fingerprint(request.operation, request.payload),
        )
        if mark in self._in_flight:
            raise Problem("idempotency_key_in_flight", None, RETRY_AFTER)
        self._in_flight.add(mark)
        try:
            return await self._ask(request)
        finally:
            self._in_flight.discard(mark)

    async def _ask(self, request: Request) -> Answer:
        self.admit()  # bodies are slow: others may have come meanwhile
        command_id, record = self._command(request)
        reply = self._desk.expect(command_id)
        self._metrics.in_flight.inc()
        sent_at = time.perf_counter()
        try:
            async with asyncio.timeout(self._answer_timeout_s) as patience:
                if not await self._send(record):
                    in_doubt_until = asyncio.get_running_loop().time() + IN_DOUBT_S
                    patience.reschedule(min(in_doubt_until, patience.when() or in_doubt_until))
                answered = await reply
        except TimeoutError:
            raise Problem("answer_timeout", None, RETRY_AFTER) from None
        finally:
            self._metrics.in_flight.dec()
            self._desk.forget(command_id)
        answered_at = time.perf_counter()
        self._admission.answered(answered_at)
        self._metrics.replied_in(request.operation, answered_at - sent_at)
        if answered.replayed:
            self._metrics.replayed.inc()
        return from_log(answered.status, answered.body, replayed=answered.replayed)

    async def _send(self, record: Outgoing) -> bool:
        """Whether the command is on the log for certain."""
        try:
            await self._commands.send(record)
            return True
        except NotSent:
            raise Problem("unavailable", None, RETRY_AFTER) from None
        except KafkaFailure:
            return False  # it may be on the log, and its reply may come yet

    def _command(self, request: Request) -> tuple[str, Outgoing]:
        now_ms = self._clock_ms()
        command_id = command_ids.mint(now_ms)
        value = orjson.dumps(
            {
                "command_id": command_id,
                "type": request.operation,
                "merchant_id": request.merchant_id,
                "idempotency_key": request.idempotency_key,
                "issued_at": now_ms,
                "deadline_at": now_ms + self._deadline_after_ms,
                "payload": request.payload,
            }
        )
        if len(value) > COMMAND_BYTES_MAX:
            raise Problem("command_too_large")
        headers = [("reply_to", self._desk.reply_to)]
        if request.traceparent is not None:
            headers.append(("traceparent", request.traceparent))
        return command_id, Outgoing(request.merchant_id.encode(), value, headers)
