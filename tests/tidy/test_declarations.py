"""An event and an operation are one file each: no room names one, so that a new one needs no line there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.charge_events import CHARGE_EVENTS
from events.operations import OPERATIONS

ROOT = Path(__file__).parents[2]
DECLARED = {"events/charge_events": CHARGE_EVENTS, "events/operations": OPERATIONS}
# Customers mean particular things, so the workload says which; a new operation is nobody's habit until a line says so.
MAY_IMPORT_OPERATIONS = ("events/charge_events/", "simulator/workload/")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for room in ("events", "services", "simulator"):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def texts(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string of a module that is not a docstring."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    told = {
        id(node.body[0].value) for node in ast.walk(module) if isinstance(node, documented) and ast.get_docstring(node)
    }  # type: ignore[attr-defined]
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and id(node) not in told:
            value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(value, str):
                yield node.lineno, value


def test_the_name_of_an_event_stands_in_its_own_file_only() -> None:
    """No string of the product holds the name of an event or an operation, but in the one file that declares it."""
    names = {each.name for declared in DECLARED.values() for each in declared}
    pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, names))})(?!\w)")
    said = [
        (name, where, line)
        for where, module in modules()
        for line, text in texts(module)
        for name in pattern.findall(text)
    ]
    at_home = {name: where for name, where, _ in said if where.startswith(tuple(DECLARED))}
    elsewhere = [f"{where}:{line}: {name}" for name, where, line in said if at_home.get(name) != where]
    assert at_home.keys() == names
    assert not elsewhere, "read it off the declarations instead:\n" + "\n".join(elsewhere)
    assert len(set(at_home.values())) == len(names), "one file, one event or operation"


def test_nobody_picks_one_event_out() -> None:
    """Rooms read the table of events; only its own package imports a single one."""
    picked = []
    for where, module in modules():
        for node in ast.walk(module):
            origin = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            package, _, single = origin.rpartition(".")
            if single in ("base", "") or where.startswith(package.replace(".", "/") + "/"):
                continue
            if package == "events.charge_events":
                picked.append(f"{where}:{node.lineno}: {origin}")
            if package == "events.operations" and not where.startswith(MAY_IMPORT_OPERATIONS):
                picked.append(f"{where}:{node.lineno}: {origin}")
    assert not picked, "\n".join(picked)


@pytest.mark.parametrize("package", DECLARED)
def test_a_declaration_computes_nothing(package: str) -> None:
    """There is no logic in a declaration, so that who reads it shares data with the others, and no code."""
    for path in (ROOT / package).glob("*.py"):
        if path.stem not in ("__init__", "base"):
            functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
            found = [
                node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, functions)
            ]
            assert not found, f"{path.name}:{found[0].lineno}"
