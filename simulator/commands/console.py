"""What commands say while they work: a moving line on a terminal, plain lines elsewhere.

In:      sentences.
Out:     progress and reports on stderr, results on stdout, so that `--json` can be piped.
"""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.status import Status

EXIT_INTERRUPTED = 130


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Whoever reads our stdout may have seen enough (`| head -1`): that is no error, and changes no exit code."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # the latter is how rich tells it
        leave_unread()


def leave_unread() -> None:
    """What is left to be written goes nowhere, else Python complains about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_read() -> bool:
    """Whether anybody still reads our stdout."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return not any(what & select.POLLERR for _, what in poll.poll(0))


def leave_when_told() -> None:
    """SIGTERM and Ctrl-C end the process at once: for readers, who have nothing to finish.

    A cancellation can get lost in the client they wait in, or wait for a thread.
    """
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, _frame: object) -> None:
    if os.isatty(2):
        os.write(2, b"\r\x1b[K\x1b[?25h")  # a moving line hides the cursor
    if number == signal.SIGTERM:
        os._exit(0)
    os.write(2, b"Interrupted.\n")
    os._exit(EXIT_INTERRUPTED)


class Teller:
    """`with Teller() as tell:`, `tell.progress(...)` for what passes, `tell.line(...)` for what stays."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._status: Status | None = None
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.quiet()

    def progress(self, sentence: str, view: "RenderableType | None" = None) -> None:
        """What is being done; replaced by the next on a terminal, which shows the view if there is one, a line of
        its own elsewhere.
        """
        if sentence == self._last:
            return
        self._last = sentence
        if not self._is_terminal:
            typer.echo(sentence, err=True)
        elif self._status is None:
            from rich.console import Console  # noqa: PLC0415  a tenth of a second, only where it is seen

            self._status = Console(stderr=True).status(view or sentence)
            self._status.start()
        else:
            self._status.update(view or sentence)

    def line(self, sentence: str) -> None:
        """Something that happened and stays to be read."""
        if self._status is not None:
            self._status.console.print(sentence, markup=False, highlight=False)
        else:
            typer.echo(sentence, err=True)

    def quiet(self) -> None:
        """The work is done: take the moving line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        self._last = ""
