"""The HTTP server: uvicorn with httptools, made to answer nonsense politely and to stop when told.

In:      an ASGI application and a listening socket; whether there is too much to do already, who counts refusals, and
         the turns in which requests begin.
Out:     `serve` returns after a clean stop: no new connections, answers in flight sent.
Units:   time limits in seconds, sizes in bytes.
Errors:  what is not HTTP gets a 400 problem and a closed connection, never a traceback.
Source:  uvicorn 0.54. Its own signal handling raises the signal again after the stop: exit code -15, not 0.
"""

import re
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from events.codes import problem_body
from services.gateway import routes, whole_post
from services.gateway.acceptor import Acceptor
from services.gateway.turns import Turns
from services.quiet_server import QuietServer

KEEP_ALIVE_S: Final = 75  # above the 60 s after which usual load balancers let an idle connection go
HEAD_BYTES_MAX: Final = 128 * 1024  # request line and headers; uvicorn bounds them for its other parser only
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
# Begins where no token goes on, and is bounded: linear in whatever was received.
_REQUEST_LINE: Final = re.compile(
    rb"(?<!" + _TOKEN + rb")" + _TOKEN + rb"{1,64} (?P<path>/[^ ?\r\n]*)(?:\?[^ \r\n]*)? HTTP/1\.[01]\r\n"
)


Refused = Callable[[str, int], None]  # told the call and the status

# Written as it is, without a task or an object for it: refusing has to cost next to nothing when there is most of it.
_TOO_MANY_BODY: Final = problem_body("unavailable", "Too many requests are waiting; nothing was sent.").encode()
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
    b"content-length: %d\r\n%b\r\n%b"
)
_TOO_MANY_KEPT: Final = _TOO_MANY % (len(_TOO_MANY_BODY), b"", _TOO_MANY_BODY)
_TOO_MANY_LAST: Final = _TOO_MANY % (len(_TOO_MANY_BODY), b"connection: close\r\n", _TOO_MANY_BODY)


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self, is_overloaded: Callable[[], bool], refused: Refused, turns: Turns, *args: Any, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._is_overloaded = is_overloaded
        self._refused = refused
        self._turns = turns
        self._refusing: str | None = None  # the call, while the rest of a refused request is read and forgotten

    _in_head = False
    _head_bytes = 0
    _received = b""  # last

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # uvicorn waits for ever for a first request; who was refused at the door may not come with another.
        self.timeout_keep_alive_task = self.loop.call_later(KEEP_ALIVE_S, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        self._received = data
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if was_in_head and self._in_head else 0
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._is_overloaded():
            self._refusing = self._refusable()
        if self._refusing is None:
            super().on_headers_complete()

    def _start_asgi_task(self, *request: Any) -> None:
        self._turns.begin(partial(super()._start_asgi_task, *request))

    def _refusable(self) -> str | None:
        """The call of a POST that can be refused at once; None for whatever is not as simple as nearly all are."""
        simple = not (
            self.expect_100_continue
            or self.parser.should_upgrade()
            or self.flow.write_paused  # the client reads no answers, and they are kept in memory
            or not getattr(self.cycle, "response_complete", True)  # pipelined behind another
        )
        if not simple or self.parser.get_method() != b"POST":
            return None
        match = routes.find(httptools.parse_url(self.url).path).get("POST")
        return match.route.name if match is not None else None

    def on_body(self, body: bytes) -> None:
        if self._refusing is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._refusing is None:
            super().on_message_complete()
            return
        call, self._refusing = self._refusing, None
        if self.transport.is_closing():
            return
        self._refused(call, 503)
        if self.parser.should_keep_alive():
            self.transport.write(_TOO_MANY_KEPT)
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(KEEP_ALIVE_S, self.timeout_keep_alive_handler)
        else:
            self.transport.write(_TOO_MANY_LAST)
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        request: RequestResponseCycle | None = self.cycle
        whole = request is not None and not request.more_body
        if self.pipeline or (request is not None and whole and not request.response_complete):
            self.transport.close()  # a 400 here would be read as the answer to a request still in flight
            return
        self.transport.write(_refusal(self._received, msg))
        self.transport.close()


def _refusal(received: bytes, msg: str) -> bytes:
    """The answer to what the parser would not read: a method it never heard of has its 404 or 405 like any other."""
    status, allow, body = "400 Bad Request", "", problem_body("invalid_request", msg)
    path = _path_of_strange_method(received)
    if path is not None and (matches := routes.find(path)):
        status, allow = "405 Method Not Allowed", f"allow: {', '.join(sorted(matches))}\r\n"
        body = problem_body("method_not_allowed")
    elif path is not None:
        status, body = "404 Not Found", problem_body("route_not_found")
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\nconnection: close\r\n{allow}"
    return f"{head}content-length: {len(body.encode())}\r\n\r\n{body}".encode()


def _path_of_strange_method(received: bytes) -> bytes | None:
    """The raw path of a request whose only fault is that httptools does not know its method."""
    # The last: the end of the body before it may have come along.
    line = next(reversed(list(_REQUEST_LINE.finditer(received))), None)
    if line is None:
        return None
    try:
        httptools.HttpRequestParser(object()).feed_data(line[0])
    except httptools.HttpParserInvalidMethodError:
        return line["path"]
    except httptools.HttpParserError:
        return None
    return None


def allow_connections() -> None:
    """As many as the kernel lets this process have: a soft limit is 1,024 mostly, and a stalled log has more wait."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # where the hard limit says "no limit" and none is allowed: as before, then
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server(QuietServer):
    """uvicorn, but for how connections are accepted."""

    def __init__(self, config: uvicorn.Config, refuse: Callable[[bytes], bytes | None]) -> None:
        super().__init__(config)
        self._refuse = refuse

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        protocol: Any = self.config.http_protocol_class  # ours, see make_server
        made = partial(protocol, config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        self._acceptors = [Acceptor(each, made, self._refuse) for each in sockets or ()]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        await super().shutdown(sockets)


def make_server(
    app: Any, stop_within_s: int, is_overloaded: Callable[[], bool], refused: Refused, turns: Turns
) -> Server:
    """While `is_overloaded`, a POST to a known route is answered 503 before anything is made of it."""
    protocol: Any = partial(Protocol, is_overloaded, refused, turns)

    def refuse(received: bytes) -> bytes | None:
        call = whole_post.call_of(received) if is_overloaded() else None
        if call is None:
            return None
        refused(call, 503)
        return _TOO_MANY_KEPT

    return Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=stop_within_s,
        ),
        refuse,
    )
