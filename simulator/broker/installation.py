"""All that is made once and used by every broker: jars, what formatting writes, an archive of classes.

In:      a cache folder, a Maven repository.
Out:     an Installation.
Errors:  BrokerUnavailable, from jars; or Java cannot run.

Whatever is in the cache already costs 40 ms: the jars' checksums.
"""

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from simulator.broker import archive, diagnosis, jars, java, settings
from simulator.broker.errors import BrokerUnavailable
from simulator.broker.ports import HOST
from simulator.broker.protocol import Progress

_FORMAT_TIMEOUT_S = 60


@dataclass(frozen=True)
class Installation:
    """What a broker is started from."""

    jars: list[Path]
    bootstrap_checkpoint: bytes
    archive_flags: tuple[str, ...] = ()


LearnFrom = Callable[[Installation], archive.StartWith]


def install(cache: Path, repository: str, progress: Progress, learn_from: LearnFrom) -> Installation:
    """Everything a start needs; what is not there yet is made."""
    java.java()  # before anything is downloaded for it
    files = jars.ensure(cache, repository, progress)
    checkpoint = files[0].parent.with_suffix(".checkpoint")
    if not checkpoint.exists() or archive.is_missing(files):
        with diagnosis.disk_in_words(cache), jars.exclusively(cache / "kafka.lock"):
            if not checkpoint.exists():
                _format(files, checkpoint)
            if archive.is_missing(files):
                archive.make(files, learn_from(Installation(files, checkpoint.read_bytes())), progress)
    return Installation(files, checkpoint.read_bytes(), archive.flags(files))


def _format(files: list[Path], checkpoint: Path) -> None:
    """What formatting writes is the same for every cluster but its ids, and costs a second: done once."""
    with tempfile.TemporaryDirectory(prefix="formatting-", dir=checkpoint.parent) as temporary:
        folder = Path(temporary)
        properties = folder / "server.properties"
        listener = settings.Listener("DIRECT", 1, f"{HOST}:1")
        properties.write_text(settings.server_properties([listener], 2, HOST, {}))
        arguments = ["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", str(properties)]
        command = java.command("kafka.tools.StorageTool", arguments, jars=files, profile="quick")
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_FORMAT_TIMEOUT_S,
                check=False,
                stdin=subprocess.DEVNULL,
                cwd=folder,  # the data folder is named from here
            )
        except OSError as error:
            raise BrokerUnavailable(
                f"Java cannot be started ({error.filename}: {error.strerror}): run `make setup` again."
            ) from error
        if done.returncode != 0:
            last = (done.stderr + done.stdout).strip().splitlines()[-1:]
            raise BrokerUnavailable(f"Kafka's storage could not be formatted: {' '.join(last)[:300]}")
        (folder / "data" / "bootstrap.checkpoint").rename(checkpoint)
