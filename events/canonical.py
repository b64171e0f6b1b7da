"""JSON as this contract means it: strict to read, and one byte form (RFC 8785) to write.

In:      bytes from outside.
Out:     `parse`: dicts, lists, strings, integers, floats, booleans and None; `canonical`: RFC 8785 bytes.
Errors:  InvalidJson, its message one sentence for a person.
Source:  RFC 8785 (JSON Canonicalization Scheme). orjson with sorted keys writes the same bytes for what this contract
         allows
         (strings, booleans, null, integers below 2^53) at a seventh of the time, except that it sorts by code point
         where
         the RFC sorts by UTF-16 unit: they part only above U+FFFF, where the `rfc8785` package, the oracle of the
         property
         test, is used instead.

Two members of one name: every fast parser keeps the last in silence. Here the text is parsed fast, written again and
compared; only a text that differs (white space, escapes, or a duplicate) is parsed again by the slow, exact way.
"""

import json
import re
from typing import Any, NoReturn

import orjson
import rfc8785

_BEYOND_U_FFFF = re.compile(rb"[\xf0-\xf4]")  # the first bytes of four-byte UTF-8: only there do the two orders differ


class InvalidJson(ValueError):
    """The text is not JSON, or is JSON that means different things to different readers."""


def parse(raw: bytes) -> Any:
    """The value of a strict JSON text; raises InvalidJson.

    Refused: duplicate members at any depth, NaN and infinities, U+0000, lone surrogates, invalid UTF-8, a byte order
    mark,
    integers beyond 64 bits, nesting beyond what a reader can hold.
    """
    try:
        value = orjson.loads(raw)
        written = orjson.dumps(value)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(_reason(raw, error)) from None
    except orjson.JSONEncodeError:
        raise InvalidJson("The body is nested too deeply.") from None
    if (
        written != raw
    ):  # what we write ourselves is compact and without needless escapes: nothing dropped, nothing hidden
        _exact(raw)
    if b"\\u0000" in written and _holds_nul(value):
        raise InvalidJson("U+0000 is not allowed in any string.")
    return value


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a value whose numbers are integers below 2^53."""
    written = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if written.isascii():  # nearly always, and answered at a tenth of the search's time
        return written
    return rfc8785.dumps(value) if _BEYOND_U_FFFF.search(written) else written


def _reason(raw: bytes, error: Exception) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        return "The body begins with a byte order mark, which JSON does not allow."
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        return f"The body is not valid UTF-8 at byte {bad.start}."
    return f"The body is not valid JSON: {error}."


def _exact(raw: bytes) -> None:
    """Parse once more with nothing forgiven; orjson has already refused bad syntax, UTF-8 and surrogates."""
    try:
        json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidJson("The body is nested too deeply.") from None
    except InvalidJson:
        raise
    except ValueError as error:
        raise InvalidJson(f"The body is not valid JSON: {error}.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidJson(f"The member {name!r} appears twice in one object.")
            seen.add(name)
    return members


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or _holds_nul(member) for name, member in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def _no_constant(name: str) -> NoReturn:
    raise InvalidJson(f"{name} is not JSON.")
