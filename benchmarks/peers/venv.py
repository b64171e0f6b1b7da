"""The peer in Python: a virtual environment of its own, made once for each content of its requirements.

In:      quixstreams.txt (pinned, with hashes), a cache folder, a package index.
Out:     the Python of that environment.
Errors:  PeerUnavailable.

Nothing of it is a dependency of the product. The environment has what the pure part of the product needs, too
(pydantic, orjson, rfc8785): that part does the peer's work, so that only the library around it differs.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.peers.errors import PeerUnavailable
from simulator.broker import jars
from simulator.broker.protocol import Progress

REQUIREMENTS: Final = Path(__file__).with_name("quixstreams.txt")
_INSTALL_TIMEOUT_S: Final = 300
_COMPLETE: Final = "complete"  # the last file to be made: without it the environment is only a part of one


def prepare(progress: Progress) -> None:
    """The environment in the cache; nothing is done where it is there already."""
    if (_folder() / _COMPLETE).exists():
        return
    with jars.exclusively(jars.cache_home() / "peers.lock"):
        if not (_folder() / _COMPLETE).exists():
            _make(_folder(), progress)


def python() -> Path:
    return _folder() / "bin" / "python"


def _folder() -> Path:
    """Named by all that decides what is in it; an environment cannot be moved, so it is made where it stays."""
    content = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode() + sys.base_prefix.encode())
    return jars.cache_home() / f"quixstreams-{content.hexdigest()[:16]}"


def _make(folder: Path, progress: Progress) -> None:
    progress("installing quixstreams into an environment of its own, once")
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        installer = [str(uv), "pip", "install", "--python", str(folder / "bin" / "python")]
    else:
        installer = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    _run([*installer, "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)])
    (folder / _COMPLETE).touch()


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailable(f"The environment of quixstreams cannot be made: {error}.") from error
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise PeerUnavailable(f"The environment of quixstreams cannot be made: {' '.join(last)}")
