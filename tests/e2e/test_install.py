"""What an install leaves on a machine that has no Rust."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("events", "services", "simulator", "native", "pyproject.toml", "README.md", "LICENSE", "hatch_build.py")


def test_without_cargo_there_is_a_wheel_and_a_sentence(tmp_path: Path) -> None:
    """The wheel is for every platform, without the native part, and why is written down where make shows it."""
    source = tmp_path / "source"
    source.mkdir()
    built = shutil.ignore_patterns("__pycache__", "target", "_native.*.so", "not-built.txt")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=built)
        else:
            shutil.copy(ROOT / name, source / name)
    folders = [one for one in os.environ["PATH"].split(os.pathsep) if not (Path(one) / "cargo").exists()]
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    done = subprocess.run(
        [str(uv), "build", "--quiet", "--wheel", "--out-dir", str(tmp_path / "dist"), str(source)],
        env={**os.environ, "PATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    told = (source / "native" / "not-built.txt").read_text(encoding="utf-8")
    assert told == (
        "Payonce's native part is not built: there is no cargo (Rust) here; "
        "the processor will settle in Python, at about half the speed.\n"
    )
