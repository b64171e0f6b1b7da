"""From what a dying broker left in its log to one sentence a person can act on.

In:      an exit code, the broker's log and where this start began in it.
Out:     a BrokerUnavailable.
Errors:  PortTaken tells the one case that is worth another try.
"""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.broker.errors import BrokerUnavailable, KilledWhileStarting

_NEARLY_FULL_BYTES = 1 << 20
_TAIL_BYTES = 256 * 1024


class PortTaken(BrokerUnavailable):
    """Somebody else listens on a port that the broker was given."""


def why_it_ended(exit_code: int, log_path: Path, log_start: int) -> BrokerUnavailable:
    """What the log of this start says, most telling reason first."""
    text = _tail(log_path, log_start)
    where = f"its log is {log_path}"
    if "No space left on device" in text or shutil.disk_usage(log_path.parent).free < _NEARLY_FULL_BYTES:
        return disk_full(log_path.parent)
    if "Address already in use" in text or "Failed to bind" in text:
        ports = sorted(set(re.findall(r"127\.0\.0\.1:(\d+)|port (\d+)", text)))
        named = ", ".join(number for pair in ports for number in pair if number)
        return PortTaken(
            f"Another program listens on a port of the broker ({named or 'see the log'}): "
            f"stop it and start again; {where}."
        )
    if "Failed to acquire lock on file" in text:
        return BrokerUnavailable(
            f"Another broker runs on {log_path.parent}: stop it, or take another folder with --dir."
        )
    if "insufficient memory for the Java" in text:
        return BrokerUnavailable(
            f"Not enough memory for Kafka, which wants half a gigabyte: end something else; {where}."
        )
    if exit_code < 0:
        return KilledWhileStarting(f"Kafka was ended by signal {-exit_code} while it started; {where}.")
    reason = _first_error(text)
    return BrokerUnavailable(f"Kafka did not start (exit code {exit_code}{reason}); {where}.")


def disk_full(folder: Path) -> BrokerUnavailable:
    """The sentence for a full disk."""
    return BrokerUnavailable(f"The disk of {folder} is full: free some space, or take another folder with --dir.")


@contextmanager
def disk_in_words(folder: Path) -> Iterator[None]:
    """What the file system refuses, in a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(folder) from error
        raise BrokerUnavailable(
            f"{error.filename or folder} cannot be written ({error.strerror}): take another folder with --dir."
        ) from error


def _tail(log_path: Path, start: int) -> str:
    try:
        with log_path.open("rb") as handle:
            handle.seek(max(start, log_path.stat().st_size - _TAIL_BYTES))
            return handle.read().decode(errors="replace")
    except OSError:
        return ""


def _first_error(text: str) -> str:
    """The first exception's own words, else the first line that looks like a complaint."""
    exception = re.search(r"^(?:Caused by: )?[\w.$]+(?:Exception|Error): (.+)$", text, re.MULTILINE)
    complaint = re.search(
        r"^(?:\S+ (?:ERROR|FATAL) |Error|OpenJDK .*(?:warning|error)|Unrecognized).*$", text, re.MULTILINE
    )
    found = exception.group(1) if exception else complaint.group(0) if complaint else ""
    return f": {found.strip()[:200]}" if found else ""
