"""A scenario from YAML; what is wrong is said with the line and the field.

In:      the path of a file, or the name of one that comes with the product.
Out:     `Scenario`.
Errors:  UsageFailure: one sentence for each mistake, `file:line: field: what is wrong`.
Source:  YAML 1.2 by ruamel.yaml, which keeps the line of every value and refuses a name written twice.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from simulator.failure import UsageFailure
from simulator.scenario.models import Scenario

BYTES_MAX: Final = 1 << 20
VALUES_MAX: Final = 100_000  # aliases could make a small file a huge one
MISTAKES_MAX: Final = 10
DEFAULT: Final = "checkout"
_SHIPPED: Final = files("simulator.scenario") / "shipped"


@cache
def shipped() -> Mapping[str, Scenario]:
    """Those that come with the product, by name, the default first."""
    found = {}
    for entry in sorted(_SHIPPED.iterdir(), key=lambda entry: (entry.name != f"{DEFAULT}.yaml", entry.name)):
        if entry.name.endswith(".yaml"):
            found[entry.name.removesuffix(".yaml")] = read_text(entry.read_text(encoding="utf-8"), entry.name)
    return found


def find(name_or_path: str) -> Scenario:
    """The shipped scenario of this name, else the file at this path."""
    names = [entry.name.removesuffix(".yaml") for entry in _SHIPPED.iterdir() if entry.name.endswith(".yaml")]
    if name_or_path in names:
        text = (_SHIPPED / f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return read_text(text, f"{name_or_path}.yaml")
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml", ".json"):
        near = difflib.get_close_matches(name_or_path, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(sorted(names))}, or the path of a file."
        raise UsageFailure(f"There is no scenario {name_or_path!r}; {hint}")
    try:
        if path.stat().st_size > BYTES_MAX:
            raise UsageFailure(f"{path} is larger than 1 MiB; that is no scenario.")
        return read_text(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageFailure(f"The scenario {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageFailure(f"The scenario {path} is not UTF-8.") from None


def read_text(text: str, file: str) -> Scenario:
    """`file` is its name in sentences."""
    document = _parse(text, file)
    if not isinstance(document, Mapping):
        raise UsageFailure(f"{file}:1: a scenario is a mapping that begins with its name, such as `name: mine`.")
    plain = _plain(document, file, [0])
    try:
        return Scenario.model_validate(plain)
    except ValidationError as error:
        raise UsageFailure("\n".join(_mistakes(error, document, file))) from None


def _parse(text: str, file: str) -> Any:
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        what = " ".join(str(error.problem or "this is not YAML").split())
        raise UsageFailure(f"{file}:{line}: {what}.") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise UsageFailure(f"{file} is not YAML: {' '.join(str(error).split())}.") from None


def _plain(value: Any, file: str, seen: list[int]) -> Any:
    """The document as dictionaries, lists and scalars; bounded, however its aliases multiply it."""
    seen[0] += 1
    if seen[0] > VALUES_MAX:
        raise UsageFailure(f"{file} has more than {VALUES_MAX:,} values; that is no scenario.")
    if isinstance(value, Mapping):
        return {str(name): _plain(inner, file, seen) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, file, seen) for inner in value]
    return value


def _mistakes(error: ValidationError, document: Any, file: str) -> Iterator[str]:
    mistakes = [one for one in error.errors(include_url=False) if not _follows(one, error)]
    for mistake in mistakes[:MISTAKES_MAX]:
        line, place = _find(document, mistake["loc"])
        where = f" {place}:" if place else ""
        yield f"{file}:{line}:{where} {_said(mistake)}."
    if len(mistakes) > MISTAKES_MAX:
        yield f"{file}: and {len(mistakes) - MISTAKES_MAX} more mistakes."


def _follows(mistake: Any, error: ValidationError) -> bool:
    """A list is called too short where its only items are wrong: nothing to say besides."""
    place = mistake["loc"]
    return mistake["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in error.errors()
    )


def _said(mistake: Any) -> str:
    """pydantic's sentence in this product's words."""
    if mistake["type"] == "extra_forbidden":
        return "this field is not known"
    if mistake["type"] == "missing":
        return "this field is missing"
    if mistake["type"] == "union_tag_invalid":
        ctx = mistake["ctx"]
        known = ctx["expected_tags"].replace("'", "")
        return f"there is no fault {ctx['tag']!r}; there is {known}"
    if mistake["type"] == "union_tag_not_found":
        return "a fault is its name, or a mapping with `fault: NAME`"
    said = str(mistake["msg"]).removeprefix("Value error, ").rstrip(".")
    return said[:1].lower() + said[1:] if said[:1].isupper() and said[1:2].islower() else said


def _find(document: Any, location: Sequence[int | str]) -> tuple[int, str]:
    """The line of the deepest part of this place that the file has, and the field as people write it.

    pydantic's places also name the member of a union it tried, which is not in the file.
    """
    node, line, place = document, 1, ""
    for index, step in enumerate(location):
        last = index == len(location) - 1
        if isinstance(node, Mapping) and step in node:
            line = node.lc.key(step)[0] + 1  # type: ignore[attr-defined]
            node, place = node[step], f"{place}.{step}" if place else str(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            line = node.lc.item(step)[0] + 1  # type: ignore[attr-defined]
            node, place = node[step], f"{place}[{step}]"
        elif last and isinstance(step, str) and isinstance(node, Mapping):
            place = f"{place}.{step}" if place else step
    return line, place
