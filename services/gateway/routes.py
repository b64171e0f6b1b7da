"""The table of routes, and what a path means in it.

In:      the request's raw path: undecoded, so that an escaped slash stays inside its segment.
Out:     a Match (route and path parameter), the methods a path has, or nothing.
Source:  CONTRACT, "HTTP". No redirects: a trailing slash is another path, and unknown.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from events.operations import OPERATIONS

_PARAMETER: Final = None  # stands in a pattern for one segment of any text
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Route:
    """One call. `operation` is the command type for the POSTs; `name` labels metrics and logs."""

    name: str
    method: str
    segments: tuple[str | None, ...]
    query: frozenset[str] = frozenset()
    operation: str | None = None
    public: bool = False  # operations of the gateway itself: no merchant, no authorization


@dataclass(frozen=True, slots=True)
class Match:
    route: Route
    parameter: str  # the one path parameter, decoded; empty where the route has none


def _pattern(path: str) -> tuple[str | None, ...]:
    return tuple(_PARAMETER if part == "{charge_id}" else part for part in path.removeprefix("/").split("/"))


ROUTES: Final = (
    *(Route(operation.call, "POST", _pattern(operation.path), operation=operation.name) for operation in OPERATIONS),
    Route("list_charges", "GET", ("v1", "charges"), query=frozenset({"limit", "starting_after"})),
    Route("get_charge", "GET", ("v1", "charges", _PARAMETER)),
    Route("get_balance", "GET", ("v1", "balance")),
    Route("get_idempotency_key", "GET", ("v1", "idempotency-keys", _PARAMETER)),
    Route("healthz", "GET", ("healthz",), public=True),
    Route("readyz", "GET", ("readyz",), public=True),
    Route("metrics", "GET", ("metrics",), public=True),
    Route("docs", "GET", ("docs",), public=True),
    Route("openapi", "GET", ("openapi.json",), public=True),
)

_BY_LENGTH: Final = {
    length: [route for route in ROUTES if len(route.segments) == length]
    for length in {len(route.segments) for route in ROUTES}
}


def find(raw_path: bytes) -> dict[str, Match]:
    """Every method this path has, with its match; empty when no route has the path."""
    return _WITHOUT_PARAMETER.get(raw_path) or _find(raw_path)


def _find(raw_path: bytes) -> dict[str, Match]:
    segments = _segments(raw_path)
    if segments is None:
        return {}
    return {
        route.method: Match(route, parameter)
        for route in _BY_LENGTH.get(len(segments), ())
        if (parameter := _fit(route.segments, segments)) is not None
    }


def _fit(pattern: tuple[str | None, ...], segments: list[str]) -> str | None:
    parameter = ""
    for expected, segment in zip(pattern, segments, strict=True):
        if expected is _PARAMETER:
            if not segment:
                return None
            parameter = segment
        elif segment != expected:
            return None
    return parameter


def _segments(raw_path: bytes) -> list[str] | None:
    if not raw_path.startswith(b"/"):
        return None
    return [_decoded(segment) for segment in raw_path[1:].split(b"/")]


def _decoded(segment: bytes) -> str:
    """The text of one segment; as it was written where no JSON string could hold what it means.

    So that there is an answer to every `{charge_id}`: nothing has such a name.
    """
    if not _BAD_ESCAPE.search(segment):
        with suppress(UnicodeDecodeError):
            text = unquote_to_bytes(segment).decode("utf-8")
            if "\0" not in text:
                return text
    return segment.decode("latin-1")


# Most requests: looked up, not taken apart.
_WITHOUT_PARAMETER: Final = {
    path: _find(path)
    for route in ROUTES
    if _PARAMETER not in route.segments
    for path in ("/".join(("", *map(str, route.segments))).encode(),)
}
