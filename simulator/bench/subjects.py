"""Who is measured: our processor under each guarantee, and peers that read the same commands and answer them.

In:      names or globs; the package `benchmarks.peers` of a checkout, where it can be imported.
Out:     Subjects: a command line, an environment, and how the process says that it is ready.
Errors:  UsageFailure for a name that nobody has. A peer that cannot run here is left out, with one sentence why.
Source:  docs/bench.md, "A peer of your own". Nothing is imported from services: ours is a process like any other.
"""

import fnmatch
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from events.guarantees import Guarantee
from events.options import ENVIRONMENT_PREFIX
from simulator.failure import Failure, UsageFailure

PEERS_PACKAGE: Final = "benchmarks.peers"
OURS: Final = "payonce-"


@dataclass(frozen=True)
class Place:
    """Where one run happens; `folder` is the process's own."""

    bootstrap: str
    namespace: str
    partitions: int
    folder: Path


class Subject(Protocol):
    """One kind of processor, started as a process that answers on `replies` until SIGTERM."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """One sentence."""

    @property
    def does_the_work(self) -> bool:
        """False where what stands on `replies` are no answers: a limit, not a processor."""

    def argv(self, place: Place) -> Sequence[str]: ...

    def environment(self, place: Place) -> Mapping[str, str]: ...

    def is_ready(self, line: bytes) -> bool: ...


def is_ours(name: str) -> bool:
    return name.startswith(OURS)


@dataclass(frozen=True)
class Ours:
    """The real `python -m services.processor` with its defaults."""

    guarantee: Guarantee

    @property
    def name(self) -> str:
        return f"{OURS}{self.guarantee}"

    @property
    def about(self) -> str:
        return f"Our processor under {self.guarantee}."

    @property
    def does_the_work(self) -> bool:
        return True

    def argv(self, place: Place) -> Sequence[str]:
        return [sys.executable, "-m", "services.processor"]

    def environment(self, place: Place) -> Mapping[str, str]:
        return _without_ours() | {
            "PAYONCE_KAFKA": place.bootstrap,
            "PAYONCE_NAMESPACE": place.namespace,
            "PAYONCE_PARTITIONS": str(place.partitions),
            "PAYONCE_GUARANTEE": self.guarantee,
            "PAYONCE_DIR": str(place.folder),
        }

    def is_ready(self, line: bytes) -> bool:
        if b'"ready"' not in line:
            return False
        try:
            entry = json.loads(line)
        except ValueError:
            return False
        return isinstance(entry, dict) and entry.get("event") == "ready"


@dataclass(frozen=True)
class Peer:
    """Somebody else's, by the contract of `benchmarks.peers`: it prints `ready` on a line of its own."""

    peer: Any
    command: Callable[..., list[str]]

    @property
    def name(self) -> str:
        return str(self.peer.name)

    @property
    def about(self) -> str:
        return str(getattr(self.peer, "about", ""))

    @property
    def does_the_work(self) -> bool:
        return bool(getattr(self.peer, "does_the_work", True))

    def argv(self, place: Place) -> Sequence[str]:
        return self.command(
            self.peer,
            bootstrap=place.bootstrap,
            namespace=place.namespace,
            partitions=place.partitions,
            state_dir=place.folder,
        )

    def environment(self, place: Place) -> Mapping[str, str]:
        return _without_ours()

    def is_ready(self, line: bytes) -> bool:
        return line.strip() == b"ready"


def _without_ours() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}


def ours() -> list[Subject]:
    """The strongest first."""
    return [Ours(guarantee) for guarantee in reversed(Guarantee)]


def peers() -> tuple[list[Subject], str | None]:
    """The checkout's peers, not yet prepared; or none, and one sentence why."""
    try:
        package = importlib.import_module(PEERS_PACKAGE)
    except ImportError as error:
        return [], f"There are no peers to measure beside ours: {PEERS_PACKAGE} cannot be imported ({error})."
    return [Peer(peer, package.command) for peer in package.PEERS], None


def prepare_peers(progress: Callable[[str], None]) -> str | None:
    """Whatever they need is built; otherwise one sentence why they cannot run here."""
    package = importlib.import_module(PEERS_PACKAGE)
    try:
        package.prepare(progress)
    except (package.NoJdk, package.PeerUnavailable) as error:
        return f"The peers are left out: {error}"
    return None


def named(subjects: Sequence[Subject], patterns: Sequence[str]) -> list[Subject]:
    """Those that one of these names or globs means, in their own order; there may be nobody."""
    return [one for one in subjects if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns)]


def chosen(subjects: Sequence[Subject], only: Sequence[str]) -> list[Subject]:
    """As `named`, but each name or glob must mean somebody."""
    for pattern in only:
        if not named(subjects, [pattern]):
            known = ", ".join(subject.name for subject in subjects)
            raise UsageFailure(f"--only: nobody is called {pattern!r}; there are {known}.")
    return named(subjects, only)


class SubjectFailed(Failure):
    """A subject ended, or stopped answering: its run says nothing, the others go on."""
