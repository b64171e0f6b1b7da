"""What goes back over HTTP: an answer, and the problem that ends a request early.

Out:     ASGI messages; bodies are `application/json` for 2xx and `application/problem+json` for errors.
Errors:  Problem is raised by the checks and caught in api.py only; its code stands in `events.codes`.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

from events.codes import CODES, problem_body

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"

# One second: a rebalance, an election or a compaction of the waiting line takes about that long.
RETRY_AFTER: Final = (b"retry-after", b"1")
REPLAYED: Final = (b"idempotent-replayed", b"true")


class Answer(NamedTuple):
    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Problem(Exception):
    """This request ends here, with this code."""

    def __init__(self, code: str, detail: str | None = None, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.headers = headers

    def answer(self) -> Answer:
        return Answer(CODES[self.code].status, problem_body(self.code, self.detail).encode(), PROBLEM, self.headers)


class ClientGone(Exception):
    """The client went away before its request was complete: nothing was sent, nobody can be told."""


def from_log(status: int, body: str, *, replayed: bool) -> Answer:
    """A reply as it stands on the log, byte for byte."""
    return Answer(
        status,
        body.encode(),
        JSON if status < 300 else PROBLEM,
        (REPLAYED,) if replayed else (),
    )


async def send_answer(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", str(len(answer.body)).encode()),
        (b"cache-control", b"no-store"),  # an answer is a fact about now, or somebody's payment
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
