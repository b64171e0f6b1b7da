"""The form of the code: what a linter does not look at."""

import ast
import gc
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("events", "services", "simulator")
LINES_MAX = 400

# What to write instead, and where it may be written all the same.
BANNED = {
    "datetime.now": "take the instant from whoever calls, or time.time_ns() in a shell",
    "datetime.utcnow": "take the instant from whoever calls, or time.time_ns() in a shell",
    "uuid.uuid4": "derive the name (events.identifiers), or mint it where chance enters (gateway/command_ids.py)",
    "uuid4": "derive the name (events.identifiers), or mint it where chance enters (gateway/command_ids.py)",
    "print": "log with structlog; only what a person asked for is printed",
}
MAY_PRINT = ("simulator/report/", "simulator/commands/", "benchmarks/")
# Where one process gets a name that no other has; nothing of it is ever a charge's, an event's or a refund's.
NAMES_A_PROCESS = ("services/processor/identity.py", "services/gateway/gateway.py", "simulator/log_hands.py")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
LEFT_OUT = re.compile(r"\bpytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b")


def modules(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """Parsed while no garbage is collected: a traceback that garbage prints is parsed too (python/cpython#106905)."""
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        gc.enable()


@pytest.mark.parametrize("path", modules(*PRODUCT, "benchmarks"), ids=name)
def test_a_module_is_one_idea_and_says_which(path: Path) -> None:
    """At most 400 lines, and a docstring unless there is nothing in it."""
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= LINES_MAX, f"{name(path)} has {lines} lines: split it"
    assert not text.strip() or ast.get_docstring(tree(path)), f"{name(path)} does not say what it is"


def test_nothing_banned_is_called() -> None:
    """Clocks, chance and standard output are each used in one way, or in one place."""
    found = [
        f"{name(path)}:{line}: {call}: {BANNED[call]}"
        for path in modules(*PRODUCT, "benchmarks")
        for call, line in calls(path)
        if call in BANNED and not allowed(call, name(path))
    ]
    assert not found, "\n".join(found)


def allowed(call: str, where: str) -> bool:
    if call == "print":
        return where.startswith(MAY_PRINT)
    return call.endswith("uuid4") and where in NAMES_A_PROCESS


def calls(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).replace("datetime.datetime.", "datetime."), node.lineno


def test_nothing_is_left_for_later() -> None:
    """What stands works: no reminders, no stubs, no test that is left out."""
    found = []
    for path in modules(*PRODUCT, "benchmarks", "tests"):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if UNFINISHED.search(line) or LEFT_OUT.search(line):
                found.append(f"{name(path)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


def test_every_test_says_what_it_shows() -> None:
    """A test's docstring is one sentence of behaviour."""
    silent = [
        f"{name(path)}: {node.name}"
        for path in modules("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)
