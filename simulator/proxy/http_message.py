"""How far an HTTP message has come: where its head ends, how long its body is, whether it is whole.

In:      the parts of one message, in order.
Out:     `head` and `body_length` once the head is there, `whole`; of a request its method, target and headers, of an
         answer its status and headers.
Units:   bytes.
Errors:  what is not HTTP is `broken`, and nothing more is known about it.
Source:  httptools. Toxics that need it feed it; bytes that nobody treats are never parsed.
"""

import httptools

from simulator.proxy.toxic import Direction


class HttpMessage:
    """httptools calls the methods that begin with `on_`."""

    def __init__(self, direction: Direction) -> None:
        self.target = ""  # of a request
        self.headers: dict[str, str] = {}  # names in lower case
        self.body = b""
        self.head: int | None = None
        self.whole = False
        self.broken = False
        self._fed = 0
        self._body_fed = 0
        self._parser: httptools.HttpRequestParser | httptools.HttpResponseParser = (
            httptools.HttpRequestParser(self) if direction == "request" else httptools.HttpResponseParser(self)
        )
        self._headed = False

    def feed(self, part: bytes) -> None:
        if self.broken or self.whole:
            return
        self._fed += len(part)
        try:
            self._parser.feed_data(part)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.broken = True
            return
        if self._headed and self.head is None:
            self.head = self._fed - self._body_fed

    @property
    def method(self) -> str:
        assert isinstance(self._parser, httptools.HttpRequestParser)
        return self._parser.get_method().decode("latin-1")

    @property
    def status(self) -> int:
        assert isinstance(self._parser, httptools.HttpResponseParser)
        return int(self._parser.get_status_code())

    @property
    def body_length(self) -> int:
        """As its head says; 0 where it does not say."""
        length = self.headers.get("content-length", "")
        return int(length) if length.isdigit() else 0

    def on_url(self, url: bytes) -> None:
        self.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._headed = True

    def on_body(self, body: bytes) -> None:
        self._body_fed += len(body)
        self.body += body

    def on_message_complete(self) -> None:
        self.whole = True
