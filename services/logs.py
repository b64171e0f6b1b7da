"""Logs, configured once per process: structlog to stderr, JSON lines unless a person is watching.

In:      the process's role; bound to every line.
Out:     one line per event, its name a past-tense snake_case constant; libraries' own are `library_logged`.
Units:   `at` in Unix milliseconds, UTC.
"""

import logging
import sys
import time
from typing import Any, Final

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

# Without locals: they hold payments and API keys.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


_QUIET_S: Final = 1.0
_KINDS_MAX: Final = 256  # a message with its values already in it is a kind of its own


def configure(role: str, level: int = logging.INFO) -> None:
    """Everything from `level` up, to stderr; libraries from WARNING up."""
    tty = sys.stderr.isatty()
    renderer: Any = structlog.dev.ConsoleRenderer() if tty else structlog.processors.JSONRenderer(serializer=_json)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _at,
            *([] if tty else [_TRACEBACKS]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(role=role)
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(max(level, logging.WARNING))


class _ToStructlog(logging.Handler):
    """A library's log record as one of our lines; one that repeats is told once a second, and how often it came.

    aiokafka says some sixty times a second that a broker is away.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        kind, now = (record.name, str(record.msg)), time.monotonic()
        told_at, untold = self._told.get(kind, (-_QUIET_S, 0))
        if now - told_at < _QUIET_S:
            self._told[kind] = (told_at, untold + 1)
            return
        if len(self._told) >= _KINDS_MAX:
            self._told.clear()
        self._told[kind] = (now, 0)
        structlog.get_logger().log(
            record.levelno,
            "library_logged",
            library=record.name,
            message=record.getMessage(),
            **({"untold": untold} if untold else {}),
            **({"exc_info": record.exc_info} if record.exc_info else {}),
        )


def _at(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["at"] = time.time_ns() // 1_000_000
    return event


def _json(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
