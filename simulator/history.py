"""history.jsonl: what the customers and the vandals of a run saw, one JSON object a line, append-only.

In:      dictionaries with `kind` run, intent, invoke, ok, fail, info, resend or fault (CONTRACT's operations; `at` in
         Unix ms).
Out:     the same dictionaries, in the order they were written.
Errors:  InvalidHistory, one sentence with the line, when a file is no history. A last line cut off in the
         middle (the writer was killed) is left out: its writer had not finished saying it.

Every line is handed to the operating system before `write` returns, so that a request is on file before it
leaves.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import orjson

from simulator.failure import UsageFailure

KINDS: Final = frozenset({"run", "intent", "invoke", "ok", "fail", "info", "resend", "fault"})


class InvalidHistory(UsageFailure):
    """The file is not a history."""


class HistoryWriter:
    """`with HistoryWriter(path) as history: history.write({...})`"""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, line: Mapping[str, Any]) -> None:
        assert line["kind"] in KINDS, f"{line['kind']!r} is no kind of history line"
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def write_all(self, lines: Sequence[str]) -> None:
        """Many lines in one piece, each JSON already and with its end of line: as `write` for each, for little more
        than the system call.
        """
        rest = memoryview("".join(lines).encode())
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        self._file.close()


def read_history(path: Path) -> Iterator[dict[str, Any]]:
    """The lines one by one; the file is never whole in memory. Raises InvalidHistory, or OSError."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = orjson.loads(raw)
                kind = line["kind"]
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                if not raw.endswith(b"\n"):
                    return
                raise InvalidHistory(f"{path}, line {number} is not a history line: {error}.") from None
            if number == 1 and kind != "run":
                raise InvalidHistory(f"{path} does not begin with a line of kind run: it is no history.")
            yield line


def merge_histories(whole: Path, parts: Sequence[Path]) -> None:
    """Put the lines of the parts among those of `whole`, by instant; the lines of one file keep their order."""
    merged = whole.with_suffix(".merging")
    with ExitStack() as opened, merged.open("wb") as file:
        streams = [opened.enter_context(path.open("rb")) for path in (whole, *parts)]
        file.writelines(line for _, line in heapq.merge(*map(_by_instant, streams), key=lambda one: one[0]))
    merged.replace(whole)


def _by_instant(lines: BinaryIO) -> Iterator[tuple[int, bytes]]:
    at = 0  # of a clock that is set back a file's own order counts for more
    for line in lines:
        if line.endswith(b"\n"):
            at = max(at, orjson.loads(line).get("at", 0))
            yield at, line
