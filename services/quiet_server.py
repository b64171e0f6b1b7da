"""uvicorn without its signal handlers: somebody else has the process's.

Source:  uvicorn 0.54: its own handling raises the signal again after the stop, so that the exit code is -15, not 0.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from uvicorn.server import Server


class QuietServer(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
