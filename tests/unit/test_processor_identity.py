"""Who a processor is, and what it owns through a rebalance."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.kafka.port import Assignment
from services.processor.holding import kept
from services.processor.identity import Identity, IdentityTaken


def test_an_identity_is_minted_once(tmp_path: Path) -> None:
    """The same directory is the same processor, and knows its last name in the group."""
    first = Identity.claim(tmp_path)
    assert first.predecessor is None
    first.remember("member-1")
    first.release()
    again = Identity.claim(tmp_path)
    assert (again.name, again.predecessor) == (first.name, "member-1")
    again.release()


def test_a_directory_is_never_shared(tmp_path: Path) -> None:
    """A second claim is refused in one sentence while the first one's holder lives."""
    held = Identity.claim(tmp_path)
    with pytest.raises(IdentityTaken, match="Another processor is running in"):
        Identity.claim(tmp_path)
    held.release()
    Identity.claim(tmp_path).release()


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """The lock goes with its process, however that ended."""
    program = (
        "import os, signal, sys; from pathlib import Path; from services.processor.identity import Identity\n"
        "Identity.claim(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == -9
    Identity.claim(tmp_path).release()


def test_a_torn_file_makes_a_new_identity(tmp_path: Path) -> None:
    """What cannot be read is nobody's identity."""
    (tmp_path / "identity.json").write_bytes(b'{"identity": "a')
    assert len(Identity.claim(tmp_path).name) == 32


@pytest.mark.parametrize(
    ("then", "stays"),
    [
        (Assignment("m1", 6, frozenset({0, 1})), {0, 1}),
        (Assignment("m1", 6, frozenset({1, 2})), {1}),
        (Assignment("m1", 7, frozenset({0, 1})), set()),  # a generation that we missed had other owners
        (Assignment("m2", 6, frozenset({0, 1})), set()),  # we were out of the group
        (Assignment("m1", 5, frozenset({0, 1})), set()),
    ],
)
def test_kept_means_nobody_can_have_been_between(then: Assignment, stays: set[int]) -> None:
    """Partitions stay only with the same member id and a generation exactly one higher."""
    assert kept(Assignment("m1", 5, frozenset({0, 1})), then, frozenset({0, 1})) == stays


def test_nothing_is_kept_from_nothing() -> None:
    """After a recovery every partition is taken over again."""
    assert kept(None, Assignment("m1", 1, frozenset({0})), frozenset({0})) == frozenset()
