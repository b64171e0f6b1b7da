"""docs/breaks.md tells of every named bug, and what it tells is so."""

import re
import shlex
from pathlib import Path

import pytest

from events.breaks import BREAKS
from simulator.scenario.reading import shipped
from tests.faults.test_convictions import ROWS

ROOT = Path(__file__).parents[2]
CELLS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "breaks.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]
TOLD = {name.strip("`"): cells for name, *cells in CELLS}


def test_every_bug_has_one_row() -> None:
    """None is left out, told twice, or told of though it is gone."""
    assert sorted(name.strip("`") for name, *_ in CELLS) == sorted(BREAKS)


@pytest.mark.parametrize("bug", BREAKS)
def test_a_row_names_the_anomaly_and_what_comes_along(bug: str) -> None:
    """The anomaly that the bug is convicted of, and those that the conviction allows besides."""
    first, _, besides = TOLD[bug][2].partition("with it")
    assert re.findall(r"`(\w+)`", first)[0] == BREAKS[bug]
    assert set(re.findall(r"`(\w+)`", besides)) == ROWS[bug].besides


@pytest.mark.parametrize("bug", BREAKS)
def test_a_row_has_a_command_that_shows_this_very_bug(bug: str) -> None:
    """A run of a scenario that is shipped with this bug switched on, or the one conviction of that name."""
    words = shlex.split(re.findall(r"`([^`]+)`", TOLD[bug][1])[-1])
    if words[0] == "payonce":
        assert words[1] == "simulate"
        assert words[2] in shipped()
        assert words[-2:] == ["--break", bug]
    else:
        assert words[:3] == ["pytest", "tests/faults/test_convictions.py", "-k"]
        assert [name for name in ROWS if words[3] in name] == [bug]
