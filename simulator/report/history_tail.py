"""What is new in the histories of a run that is going on: its own, and those of its load processes.

In:      the run's folder; called again and again.
Out:     the lines written since the last call, file by file, each in its order.
Errors:  none: a line that is not whole yet comes with the next call, a file that has gone has said everything.

Read from the files and not handed over in memory: several load processes write, and a line that is on file is one that
the report will count. Bounded: BYTES_MAX of each file a call; whoever falls behind catches up.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

PATTERNS: Final = ("history.jsonl", "load-*.jsonl")
BYTES_MAX: Final = 4 << 20


class HistoryTail:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}  # bytes of whole lines

    def new_lines(self) -> Iterator[dict[str, Any]]:
        for pattern in PATTERNS:
            for path in sorted(self._folder.glob(pattern)):
                yield from self._of(path)

    def _of(self, path: Path) -> Iterator[dict[str, Any]]:
        try:
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                found = file.read(BYTES_MAX)
        except FileNotFoundError:
            return
        whole = found[: found.rfind(b"\n") + 1]
        self._read[path] = self._read.get(path, 0) + len(whole)
        for line in whole.splitlines():
            yield orjson.loads(line)
