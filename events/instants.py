"""Instants: integer Unix milliseconds, UTC, and their RFC 3339 text. Reads no clock."""

from datetime import UTC, datetime


def rfc3339(instant_ms: int) -> str:
    """`2026-01-02T03:04:05.678Z`"""
    seconds, milliseconds = divmod(instant_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
