"""latency.hlog: every second's histograms by outcome, in HdrHistogram's own log format.

In:      a path, the Unix instant of the run's start; histograms of each second.
Out:     lines `Tag=fresh,second,length,max,payload`; a tag with `.service` counts from the send, the others from
         the planned instant.
Units:   seconds since the base time; max in milliseconds; values in nanoseconds (the tools' own default).
Source:  HdrHistogram's HistogramLogWriter (Java, format 1.3), readable by HistogramLogProcessor, HistogramLogAnalyzer
         and the `hdrh` package. The latter's own writer is not used: it writes no tags, its start time raises, and it
         rounds the maximum down to a whole unit.
"""

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hdrh.histogram import HdrHistogram

FILE: Final = "latency.hlog"
FORMAT: Final = "1.3"
SERVICE: Final = ".service"
NS_A_MS: Final = 1_000_000.0

Line = tuple[int, str, str]  # second, tag, payload


class LatencyLog:
    """`with LatencyLog(path, began_ms) as log: log.write(second, {tag: histogram})`"""

    def __init__(self, path: Path, began_ms: int) -> None:
        began = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(began_ms / 1_000.0))
        self._file = path.open("w", encoding="ascii")
        self._file.write(
            f"#[Latencies of a payonce run, in nanoseconds]\n"
            f"#[Histogram log format version {FORMAT}]\n"
            f"#[BaseTime: {began_ms / 1_000.0:.3f} (seconds since epoch)]\n"
            f"#[StartTime: {began_ms / 1_000.0:.3f} (seconds since epoch), {began}]\n"
            '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, second: int, histograms: Mapping[str, HdrHistogram]) -> None:
        """One second's histograms; seconds come in order."""
        for tag, one in histograms.items():
            max_ms = one.get_max_value() / NS_A_MS
            self._file.write(f"Tag={tag},{second:.3f},1.000,{max_ms:.3f},{one.encode().decode()}\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def merge_latency_logs(parts: Sequence[Path], whole: Path, began_ms: int) -> None:
    """Add up what several load processes, with one start, wrote: one line a second and tag."""
    with LatencyLog(whole, began_ms) as log:
        in_order = heapq.merge(*map(_lines, parts), key=lambda line: line[:2])
        for (second, tag), lines in groupby(in_order, key=lambda line: line[:2]):
            first, *others = (HdrHistogram.decode(payload) for _, _, payload in lines)
            for other in others:
                first.add(other)
            log.write(second, {tag: first})


def _lines(path: Path) -> Iterator[Line]:
    with path.open(encoding="ascii") as file:
        for line in file:
            if line.startswith("Tag="):
                tag, second, _, _, payload = line.rstrip("\n").removeprefix("Tag=").split(",", 4)
                yield int(float(second)), tag, payload
