"""The checks between the route and the log, each one rule of the contract, called in its order by api.py.

In:      raw header values, the raw query string, the body as it arrives.
Out:     what the next step needs: the body's bytes, the key, the payload as received.
Units:   sizes in bytes.
Errors:  Problem; ClientGone when the body never comes to its end.
Source:  CONTRACT, "HTTP". Frameworks parse too kindly for it: 1.0 as an integer, the last of two members, a
         slash redirected.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from events import canonical, commands
from services.gateway import idempotency_key
from services.gateway.answers import ClientGone, Problem, Receive

BODY_BYTES_MAX: Final = 32 * 1024
LIST_LIMIT_DEFAULT: Final = 20
LIST_LIMIT_MAX: Final = 100

_CONTENT_TYPE = re.compile(rb"application/json[ \t]*(?:;(?P<parameters>.*))?\Z", re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(rb'[ \t]*(?P<name>[!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?P<value>"[^"]*"|[^\s;"]+)[ \t]*\Z')
_LIMIT = re.compile(r"[1-9][0-9]{0,2}\Z")

Headers = Sequence[tuple[bytes, bytes]]


def header(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of a header, in order; names are lower-case already."""
    return [value for known, value in headers if known == name]


async def body(headers: Headers, receive: Receive, timeout_s: float) -> bytes:
    """The whole body, refused as soon as it is known to be too large: unread when its length is declared."""
    declared = header(headers, b"content-length")
    if declared and int(declared[0]) > BODY_BYTES_MAX:  # the parser below has refused anything but one number
        raise Problem("body_too_large")
    received = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                received += message.get("body", b"")
                if len(received) > BODY_BYTES_MAX:
                    raise Problem("body_too_large")
                if not message.get("more_body", False):
                    return bytes(received)
    except TimeoutError:
        raise Problem("invalid_request", "The body did not arrive in time.", (b"connection", b"close")) from None


def content_type(headers: Headers, content: bytes) -> None:
    """JSON in UTF-8, or nothing at all where there is no body."""
    if any(value.strip().lower() not in (b"", b"identity") for value in header(headers, b"content-encoding")):
        raise Problem("unsupported_media_type", "The body must not be encoded (Content-Encoding).")
    values = header(headers, b"content-type")
    if not values and not content:
        return
    if len(values) != 1 or not _is_json(values[0].strip(b" \t")):
        raise Problem("unsupported_media_type")


def _is_json(value: bytes) -> bool:
    matched = _CONTENT_TYPE.match(value)
    if matched is None:
        return False
    for text in (matched["parameters"] or b"").split(b";"):
        if not text.strip(b" \t"):
            continue
        parameter = _PARAMETER.match(text)
        if parameter is None:
            return False
        if parameter["name"].lower() == b"charset" and parameter["value"].strip(b'"').lower() != b"utf-8":
            return False
    return True


def query(query_string: bytes, known: frozenset[str]) -> dict[str, str]:
    """The query's parameters, each known and given once."""
    if not query_string:
        return {}
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            raise Problem("invalid_query", "The query string has a parameter that is not known here.")
        if name in parameters:
            raise Problem("invalid_query", f"The query parameter {name} appears twice.")
        parameters[name] = value
    return parameters


def limit(parameters: Mapping[str, str]) -> int:
    text = parameters.get("limit")
    if text is None:
        return LIST_LIMIT_DEFAULT
    if not _LIMIT.match(text) or int(text) > LIST_LIMIT_MAX:
        raise Problem("invalid_query", f"The query parameter limit must be an integer from 1 to {LIST_LIMIT_MAX}.")
    return int(text)


def key(headers: Headers, *, required: bool) -> str | None:
    try:
        parsed = idempotency_key.parse(header(headers, b"idempotency-key"))
    except idempotency_key.InvalidIdempotencyKey as error:
        raise Problem("idempotency_key_invalid", str(error)) from None
    if parsed is None and required:
        raise Problem("idempotency_key_missing")
    return parsed


def payload(operation: str, content: bytes, charge_id: str) -> dict[str, Any]:
    """The body as received, plus the path's charge id; refused unless it obeys the rules of the operation."""
    try:
        received = canonical.parse(content) if content else {}
    except canonical.InvalidJson as error:
        raise Problem("invalid_json", str(error)) from None
    if not isinstance(received, dict):
        raise Problem("invalid_request", "The body must be a JSON object.")
    if charge_id:
        if "charge_id" in received:
            raise Problem("invalid_request", "The member charge_id is not known here.")
        received["charge_id"] = charge_id
    try:
        commands.validate_payload(operation, received)
    except commands.InvalidPayload as error:
        raise Problem("invalid_request", str(error)) from None
    return received
