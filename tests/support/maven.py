"""A Maven repository on this machine, for tests of what a bad network does to a first run.

In:      a folder of jars as the cache holds them.
Out:     a URL, and the number of times each jar was asked for.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Spoil = Callable[[bytes], bytes]


class MavenRepository:
    """What it has been asked for, and what it does to what it serves."""

    def __init__(self, jars: Path) -> None:
        self.asked: Counter[str] = Counter()
        self.spoil: Spoil | None = None
        self.announces_more = False  # hangs up before it has sent as many bytes as it announced
        self._jars = jars

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                self._answer(handler)

            def log_message(handler, format: str, *args: object) -> None:  # noqa: A002, N805
                """A test's output is its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.rsplit("/", 1)[-1]
        path = self._jars / name
        if not name.endswith(".jar") or not path.exists():
            handler.send_error(404)
            return
        self.asked[name] += 1
        content = path.read_bytes()
        if self.spoil:
            content = self.spoil(content)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) + (1000 if self.announces_more else 0)))
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True

    def serve(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def maven_repository(jars: Path) -> Iterator[MavenRepository]:
    """A running repository that serves the jars of this folder."""
    repository = MavenRepository(jars)
    repository.serve()
    try:
        yield repository
    finally:
        repository.close()
