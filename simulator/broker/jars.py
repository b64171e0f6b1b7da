"""Kafka's jars: fetched once from Maven Central by coordinate, verified, kept.

In:      jars.lock (SHA-256, bytes, coordinate of each jar), a cache folder, a Maven repository.
Out:     a folder that holds exactly those jars, each with the content that was pinned.
Errors:  BrokerUnavailable: no network on the first run, a repository that serves other bytes, a full disk.
Source:  jgo turns a coordinate into a download but keeps truncated files and only logs a wrong checksum,
         so it writes into a temporary folder here and whatever is not what was pinned never reaches the cache.

Two runs may start at once: one fetches while the other waits for its lock. The set appears by one rename.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulator.broker.errors import BrokerUnavailable
from simulator.broker.protocol import Progress

LOCK_FILE = Path(__file__).with_name("jars.lock")
MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
# A class-data archive is void as soon as a jar's time changes, so every jar gets this one.
_JAR_TIME_S = 1_767_225_600
_DOWNLOADS_AT_ONCE = 8
_DOWNLOAD_TIMEOUT_S = 30


@dataclass(frozen=True)
class Jar:
    """One pinned jar."""

    sha256: str
    size_bytes: int
    coordinate: str

    @property
    def file_name(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def pinned(lock_file: Path = LOCK_FILE) -> tuple[tuple[Jar, ...], str]:
    """The pinned jars in class-path order, and a short name for exactly this set."""
    text = lock_file.read_text()
    jars = tuple(
        Jar(sha256, int(size), coordinate)
        for sha256, size, coordinate in (line.split() for line in text.splitlines() if not line.startswith("#"))
    )
    return jars, hashlib.sha256(text.encode()).hexdigest()[:16]


def cache_home() -> Path:
    """Where caches live on this machine (XDG), for this product."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "payonce"


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """One process at a time; the others wait. A process that dies lets go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure(cache: Path, repository: str, progress: Progress, lock_file: Path = LOCK_FILE) -> list[Path]:
    """The pinned jars in the cache, fetching what is missing or is not what was pinned."""
    jars, name = pinned(lock_file)
    folder = cache / f"kafka-{name}"
    if not _damaged(folder, jars):
        return [folder / jar.file_name for jar in jars]
    try:
        with exclusively(cache / "kafka.lock"):
            damaged = _damaged(folder, jars)
            if damaged:
                _fetch_into(folder, jars, damaged, repository, progress)
    except OSError as error:
        raise _sentence(error, cache, sum(jar.size_bytes for jar in jars)) from error
    return [folder / jar.file_name for jar in jars]


def _damaged(folder: Path, jars: Sequence[Jar]) -> list[Jar]:
    if not folder.is_dir():
        return list(jars)
    with ThreadPoolExecutor(2) as pool:
        sound = pool.map(lambda jar: _is_sound(folder / jar.file_name, jar), jars)
        return [jar for jar, ok in zip(jars, sound, strict=True) if not ok]


def _is_sound(path: Path, jar: Jar) -> bool:
    try:
        if path.stat().st_size != jar.size_bytes:
            return False
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def _fetch_into(folder: Path, jars: Sequence[Jar], damaged: Sequence[Jar], repository: str, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder.parent) as temporary:
        fetched = Path(temporary) / "jars"
        fetched.mkdir()
        for path, jar in zip(_download(Path(temporary) / "m2", damaged, repository, progress), damaged, strict=True):
            if not _is_sound(path, jar):
                raise BrokerUnavailable(
                    f"{repository} served a {jar.file_name} that is not the one pinned in {LOCK_FILE.name}: "
                    "nothing was kept; try another network, or another mirror of Maven Central."
                )
            os.utime(path, (_JAR_TIME_S, _JAR_TIME_S))
            path.rename(fetched / jar.file_name)
        if folder.is_dir():  # a jar at a time: another run may have the sound ones open
            for jar in damaged:
                (fetched / jar.file_name).replace(folder / jar.file_name)
        else:
            fetched.rename(folder)


def _download(into: Path, jars: Sequence[Jar], repository: str, progress: Progress) -> list[Path]:
    from jgo.maven import MavenContext  # noqa: PLC0415  imports requests and lxml: only ever needed once
    from jgo.parse import Coordinate  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    context = MavenContext(
        repo_cache=into, local_repos=[], remote_repos={"central": repository}, timeout=_DOWNLOAD_TIMEOUT_S
    )
    total = sum(jar.size_bytes for jar in jars)
    done_bytes = 0

    def fetch(jar: Jar) -> Path:
        nonlocal done_bytes
        artifact = context.create_dependency(Coordinate.parse(jar.coordinate)).artifact
        path = Path(artifact.resolve())
        done_bytes += jar.size_bytes
        progress(f"fetching Kafka, once: {done_bytes / 1e6:.0f} of {total / 1e6:.0f} MB")
        return path

    progress(f"fetching Kafka, once: {total / 1e6:.0f} MB from {repository}")
    try:
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            return list(pool.map(fetch, jars))
    except RequestException as error:
        raise BrokerUnavailable(
            f"Kafka is not cached yet and {repository} cannot be reached: the first run needs the network, "
            "or name a running cluster with --kafka HOST:PORT."
        ) from error
    except RuntimeError as error:  # jgo's word for 404 and its like
        raise BrokerUnavailable(f"{repository} does not serve Kafka's jars: {error}") from error


def _sentence(error: OSError, cache: Path, needed_bytes: int) -> BrokerUnavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free_mb = shutil.disk_usage(cache).free / 1e6
        return BrokerUnavailable(
            f"The disk is full: Kafka's jars need {needed_bytes / 1e6:.0f} MB below {cache} and {free_mb:.0f} MB are "
            "free; free some, or point XDG_CACHE_HOME elsewhere."
        )
    return BrokerUnavailable(
        f"Kafka's jars cannot be kept below {cache} ({error.strerror}); point XDG_CACHE_HOME elsewhere."
    )
