"""The recipes of CONTRIBUTING, followed to the letter in a copy of the tree: nothing is needed that they do not say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPES = ("Add a fault", "Add an anomaly", "Add an event", "Add an operation")
LOOKING_AT_ALL = (
    "tests/tidy/test_declarations.py",
    "tests/tidy/test_schemas.py",
    "tests/unit/test_charge_events.py",
    "tests/unit/test_gateway_routes.py",
    "tests/unit/faults/test_plan.py",
)
COPIED = ("events", "services", "simulator", "tests", "docs", "pyproject.toml", "CONTRIBUTING.md")
# A step: the file it is about, the prose, and what to write into it. Lines for a table stand in the prose.
STEP = re.compile(r"^\d\. `(?P<file>[\w/]+\.py)`: ?(?P<prose>.*?)(?=^\d\. `|^[A-Z#]|\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^   ```python\n(.*?)^   ```", re.MULTILINE | re.DOTALL)
LINE = re.compile(
    r"`(?P<line>[^`]+,)` in\s+`(?P<table>\w+)`(?:, above `(?P<above>\w+)`)?(?P<imported>.*\bimport\b)?", re.DOTALL
)


def section(title: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def follow(tree: Path, title: str) -> list[str]:
    """Do what the steps say; returns the tests that were written."""
    written: dict[str, str] = {}  # what the new files define, and where
    tests = []
    for step in STEP.finditer(section(title)):
        path, prose = tree / step["file"], step["prose"]
        block = BLOCK.search(prose)
        if block:
            right = re.sub(r"^   ", "", block[1], flags=re.MULTILINE)
            assert not path.exists() or path.read_text(encoding="utf-8") == right, (
                f"{path.name}: choose another example"
            )
            path.write_text(right, encoding="utf-8")
            module = step["file"].removesuffix(".py").replace("/", ".")
            written |= dict.fromkeys(
                re.findall(r"^(?:class )?(\w+)(?:\(\w+\))?(?: = |:\n)", right, re.MULTILINE), module
            )
            written[path.stem] = module
            tests += [step["file"]] if path.name.startswith("test_") else []
        else:
            line = LINE.search(prose)
            assert line, f"{title}: step about {step['file']} says neither what to write nor which line to add"
            add(path, line, written)
    return tests


def add(path: Path, line: re.Match[str], written: dict[str, str]) -> None:
    """One line into a table, as an editor would, and the import that it needs."""
    text, wanted = path.read_text(encoding="utf-8"), " ".join(line["line"].split())
    if f"    {wanted}\n" in text:
        return  # this very recipe has been followed in earnest
    table = re.search(rf"^{line['table']}\b[^\n]*[\[({{]\n", text, re.MULTILINE)
    assert table, f"there is no table {line['table']} in {path.name}"
    end = re.compile(rf"^    {line['above']},\n" if line["above"] else r"^[\])}]", re.MULTILINE).search(
        text, table.end()
    )
    assert end
    text = f"{text[: end.start()]}    {wanted}\n{text[end.start() :]}"
    if line["imported"]:
        name = re.match(r"\w+", line["line"])
        assert name
        module = written[name[0]]
        package = module.rpartition(".")[0]
        imported = (
            f"from {package} import {name[0]}\n"
            if module.endswith(f".{name[0]}")
            else f"from {module} import {name[0]}\n"
        )
        first = re.search(r"^(from|import) ", text, re.MULTILINE)
        assert first
        text = text[: first.start()] + imported + text[first.start() :]
    path.write_text(text, encoding="utf-8")


def run(tree: Path, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_recipes_work_as_printed(tmp_path: Path) -> None:
    """Their files, their lines, `make schemas`: then their own tests pass, and those that look at all declarations."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    tests = [test for title in RECIPES for test in follow(tmp_path, title)]
    assert len(tests) == len(RECIPES)
    product = ("events", "simulator", *tests)
    run(tmp_path, "ruff", "check", "--no-cache", "-q", "--fix", "--select", "I", *product)  # where an import goes
    run(tmp_path, "ruff", "check", "--no-cache", "-q", *product)
    run(tmp_path, "ruff", "format", "--no-cache", "-q", "--check", *product)
    run(tmp_path, "events.schemas", "docs/events")
    run(tmp_path, "simulator.schemas", "docs")
    run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", *tests, *LOOKING_AT_ALL)
