"""Durations as people write them in scenario files: `500ms`, `4s`, `15m`; a number without a unit is refused.

Units:   seconds inside, text with a unit outside.
Errors:  ValueError, one clause.
Source:  events.options.duration_ms, of which this is the form with a zero.
"""

from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from events.options import InvalidOption, duration_ms

PATTERN: Final = r"^(0|[0-9]{1,12}(ms|s|m|h|d))$"
_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def read_seconds(written: object) -> float:
    """`0` or a text with a unit, in seconds."""
    if written in (0, "0") and not isinstance(written, bool):
        return 0.0
    if not isinstance(written, str):
        raise ValueError(f"{written!r} has no unit; write for example 500ms, 4s or 15m")
    if set(written.rstrip("dhms")) == {"0"}:
        return 0.0
    try:
        return duration_ms(written) / 1_000.0
    except InvalidOption as error:
        raise ValueError(str(error).rstrip(".")) from None


def write_seconds(seconds: float) -> str:
    """In the largest unit that says it whole: 90 s is `90s`, an hour is `1h`."""
    ms = round(seconds * 1_000)
    if ms == 0:
        return "0"
    return next(f"{ms // size}{unit}" for unit, size in _UNITS.items() if ms % size == 0)


Seconds = Annotated[
    float,
    BeforeValidator(read_seconds),
    PlainSerializer(write_seconds, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["500ms", "4s"]}),
]
