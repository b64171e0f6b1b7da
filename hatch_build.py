"""Builds the native part (native/, Rust) into services/ wherever a wheel or an editable install is made.

In:      cargo on the PATH.
Out:     services/_native.abi3.so, one for every Python from 3.11 on; a wheel of this platform.
Errors:  none: without cargo, or where it fails, everything works without it, more slowly. Installers keep a build's
         warnings to themselves, so the sentence that says so also stands in native/not-built.txt.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ROOT = Path(__file__).parent
_CRATE = _ROOT / "native"
_BUILT_AS = {"darwin": "libpayonce_native.dylib", "win32": "payonce_native.dll"}.get(
    sys.platform, "libpayonce_native.so"
)
_NAMED = "_native.pyd" if sys.platform == "win32" else "_native.abi3.so"
_SENTENCE = "Payonce's native part is not built: {}; the processor will settle in Python, at about half the speed."


class NativeBuild(BuildHookInterface):  # type: ignore[misc]  # hatchling is not typed
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        made, told = _ROOT / "services" / _NAMED, _CRATE / "not-built.txt"
        why = _build(made)
        if why is not None:
            self.app.display_warning(_SENTENCE.format(why))
            told.write_text(_SENTENCE.format(why) + "\n", encoding="utf-8")
            made.unlink(missing_ok=True)
            return
        told.unlink(missing_ok=True)
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        build_data["artifacts"].append(f"services/{_NAMED}")


def _build(made: Path) -> str | None:
    """None, or why there is none."""
    cargo = shutil.which("cargo")
    if cargo is None:
        return "there is no cargo (Rust) here"
    environment = {**os.environ, "PYO3_PYTHON": sys.executable}
    if sys.platform == "darwin":  # Python's own symbols are found when it is loaded
        environment["RUSTFLAGS"] = "-C link-arg=-undefined -C link-arg=dynamic_lookup"
    done = subprocess.run(
        [cargo, "build", "--release", "--locked", "--quiet"],
        cwd=_CRATE,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        return f"cargo failed ({last})"
    fresh = made.with_suffix(".new")
    shutil.copyfile(_CRATE / "target" / "release" / _BUILT_AS, fresh)
    fresh.replace(made)  # a process that has loaded the old one keeps it
    return None
