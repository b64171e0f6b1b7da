"""What the documents say is there, is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from events.options import OPTIONS
from simulator.cli import app

ROOT = Path(__file__).parents[2]
FOR_USERS = ("README.md", "CONTRIBUTING.md")
ALL = [path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))]

FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def spoken(name: str) -> Iterator[str]:
    """Whatever a reader may type: each line of a shell block, and each quotation in the prose."""
    text = text_of(name)
    for language, block in FENCED.findall(text):
        if language == "sh":
            yield from (line.strip() for line in block.splitlines())
    yield from QUOTED.findall(FENCED.sub("", text))


def own_options(command: Any) -> Iterator[str]:
    """Every option of this command and of those below it."""
    for parameter in command.params:
        yield from parameter.opts
    for below in getattr(command, "commands", {}).values():
        yield from own_options(below)


@pytest.mark.parametrize("name", FOR_USERS)
def test_every_payonce_command_exists(name: str) -> None:
    """`payonce X Y` names a command of the command line, and `--option` one of its options."""
    root = cast("Any", typer.main.get_command(app))
    known = {f"--{option.name}" for option in OPTIONS.values()} | {"--help", "--version"} | set(own_options(root))
    wrong = []
    for said in spoken(name):
        words = said.removeprefix(".venv/bin/").split()
        if words[0] == "payonce" and len(words) > 1:
            command = root
            for word in words[1:]:
                if word.startswith("-") or not hasattr(command, "commands"):
                    break
                command = command.commands.get(word)
                if command is None:
                    wrong.append(said)
                    break
        if words[0] == "payonce" or words[0].startswith("--"):
            wrong += [f"{said}: {word}" for word in words if word.startswith("--") and word not in known]
    assert not wrong


@pytest.mark.parametrize("name", FOR_USERS)
def test_every_make_target_exists(name: str) -> None:
    """`make X` names a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    said = [words.split() for words in spoken(name) if words.startswith("make ")]
    assert said
    assert {words[1] for words in said} <= targets


@pytest.mark.parametrize("name", ALL)
def test_links_lead_somewhere(name: str) -> None:
    """Each relative link of a document is a file or a folder of the repository."""
    folder = (ROOT / name).parent
    links = [link.partition("#")[0] for link in LINK.findall(FENCED.sub("", text_of(name)))]
    lost = [link for link in links if link and "://" not in link and not (folder / link).exists()]
    assert not lost


def test_every_test_that_holds_an_invariant_exists() -> None:
    """ARCHITECTURE names tests by file and function, and each is in the file it is said to be in."""
    rows = re.findall(r"\[[^]]+\]\((tests/[^)]+)\)((?:,? ?`test_\w+`)+)", text_of("ARCHITECTURE.md"))
    assert len(rows) > 20
    lost = [
        f"{path}: {test}"
        for path, tests in rows
        for test in re.findall(r"test_\w+", tests)
        if f"def {test}(" not in text_of(path)
    ]
    assert not lost


def test_the_code_map_is_of_this_tree() -> None:
    """Each room of ARCHITECTURE's code map is a folder, and each file to start at is in it."""
    table = text_of("ARCHITECTURE.md").split("## Code map")[1].split("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    lost = []
    for _, rooms, _, files, _ in rows:
        folders = [ROOT / room for room in QUOTED.findall(rooms)]
        lost += [str(folder) for folder in folders if not folder.is_dir()]
        for file in QUOTED.findall(files):
            if not any((folder / file).exists() for folder in folders):
                lost.append(f"{rooms.strip()}: {file}")
    assert rows
    assert not lost
