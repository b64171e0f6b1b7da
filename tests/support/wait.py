"""Wait for a condition, never for a time.

In:      a predicate (plain or async), a limit in seconds, what to say when the limit passes.
Out:     whatever true value the predicate gave.
Errors:  AssertionError with the message; a callable message is called then, so that it can state the numbers.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
Message = str | Callable[[], str]

_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.1


async def wait_until(predicate: Callable[[], T | Awaitable[T]], *, timeout_s: float, message: Message) -> T:
    """Await until the predicate gives a true value; exceptions of the predicate are not swallowed."""
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        answer = predicate()
        value: T = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        _give_up_after(deadline, timeout_s, message)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


def wait_until_sync(predicate: Callable[[], T], *, timeout_s: float, message: Message) -> T:
    """The same without an event loop."""
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        value = predicate()
        if value:
            return value
        _give_up_after(deadline, timeout_s, message)
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


def _give_up_after(deadline: float, timeout_s: float, message: Message) -> None:
    if time.monotonic() > deadline:
        text = message() if callable(message) else message
        raise AssertionError(f"not within {timeout_s:g} s: {text}")
