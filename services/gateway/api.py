"""The HTTP API: every request through the contract's checks, in the contract's order.

In:      ASGI, with the path as it was sent (`raw_path`).
Out:     one answer per request; one log line per request at debug level.
Errors:  Problem becomes problem+json here; a bug becomes a 500 that says nothing, and a log line that does.
Source:  CONTRACT, "HTTP". Order: route, method, authorization, size, content type, query, key, body; then the
         log decides. docs/adr/0003 says why no framework does this.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

import structlog

from services.gateway import checks, routes
from services.gateway.answers import Answer, ClientGone, Problem, Receive, Scope, Send, send_answer
from services.gateway.credentials import Credentials
from services.gateway.metrics import Metrics
from services.gateway.operations import Operations
from services.gateway.posting import Posting, Request
from services.gateway.trace_context import valid_traceparent

if TYPE_CHECKING:
    from services.gateway.reading import Reading

_log = structlog.get_logger()

_CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="payonce"')
BODY_TIMEOUT_S: Final = 20.0


class Api:
    """The ASGI application."""

    def __init__(
        self,
        credentials: Credentials,
        operations: Operations,
        posting: Callable[[], Posting],
        reading: "Callable[[], Awaitable[Reading]]",
        metrics: Metrics,
        *,
        key_required: Mapping[str, bool],
    ) -> None:
        """`posting` and `reading` raise Problem as long as this gateway is not ready."""
        self._credentials = credentials
        self._operations = operations
        self._posting = posting
        self._reading = reading
        self._metrics = metrics
        self._key_required = key_required

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "neither websockets nor lifespan are switched on"
        started_at = time.perf_counter()
        matches = routes.find(scope["raw_path"])
        match = matches.get(scope["method"])
        call = match.route.name if match is not None else "none"
        try:
            answer = await self._answer(scope, receive, matches, match)
        except Problem as problem:
            answer = problem.answer()
        except ClientGone:
            return
        except Exception:
            _log.exception("request_failed", call=call)
            answer = Problem("internal_error", "Something went wrong here; try again.").answer()
        await send_answer(send, answer)
        self._metrics.answered(call, answer.status)
        _log.debug(
            "request_answered",
            call=call,
            method=scope["method"],
            status=answer.status,
            duration_ms=round((time.perf_counter() - started_at) * 1000, 2),
        )

    async def _answer(
        self, scope: Scope, receive: Receive, matches: Mapping[str, routes.Match], match: routes.Match | None
    ) -> Answer:
        if not matches:
            raise Problem("route_not_found")
        if match is None:
            raise Problem("method_not_allowed", None, (b"allow", ", ".join(sorted(matches)).encode()))
        route, headers = match.route, scope["headers"]
        if route.public:
            checks.query(scope["query_string"], route.query)
            return self._operations.answer(route.name)
        merchant_id = self._credentials.merchant(checks.header(headers, b"authorization"))
        if merchant_id is None:
            raise Problem("unauthorized", None, _CHALLENGE)
        if route.operation is None:
            parameters = checks.query(scope["query_string"], route.query)
            return await self._read(route.name, merchant_id, match.parameter, parameters)
        self._posting().admit()  # before any work: an answer that nobody waits for any more is the dearest one
        body = await checks.body(headers, receive, BODY_TIMEOUT_S)
        checks.content_type(headers, body)
        checks.query(scope["query_string"], route.query)
        key = checks.key(headers, required=self._key_required[route.operation])
        payload = checks.payload(route.operation, body, match.parameter)
        traceparent = valid_traceparent(checks.header(headers, b"traceparent"))
        request = Request(merchant_id, route.operation, key, payload, traceparent)
        return await self._posting().answer(request)

    async def _read(self, name: str, merchant_id: str, parameter: str, parameters: Mapping[str, str]) -> Answer:
        reading = await self._reading()
        match name:
            case "get_charge":
                return await reading.charge(merchant_id, parameter)
            case "list_charges":
                limit = checks.limit(parameters)
                return await reading.charges(merchant_id, limit, parameters.get("starting_after"))
            case "get_balance":
                return await reading.balance(merchant_id)
            case "get_idempotency_key":
                return await reading.key(merchant_id, parameter)
        raise AssertionError(f"the route {name} has no reader")
