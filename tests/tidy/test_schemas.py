"""What is published of the contract is what the code says."""

from pathlib import Path

from events.schemas import published
from simulator.fault_page import fault_page
from simulator.faults import BY_NAME
from simulator.schemas import published as published_by_the_simulator

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "events"


def test_committed_schemas_are_not_stale() -> None:
    """`make schemas` writes docs/events anew, out of the models and declarations in events/."""
    right, committed = published(), {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    stale = sorted(name for name in right.keys() | committed.keys() if right.get(name) != committed.get(name))
    assert not stale, f"run `make schemas` and commit docs/events; stale, missing or too many: {', '.join(stale)}"


def test_the_schemas_of_the_simulator_are_not_stale() -> None:
    """`make schemas` writes docs/*.schema.json anew, out of the models in simulator/."""
    right = published_by_the_simulator()
    committed = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.schema.json")}
    stale = sorted(name for name in right.keys() | committed.keys() if right.get(name) != committed.get(name))
    assert not stale, f"run `make schemas` and commit docs; stale, missing or too many: {', '.join(stale)}"


def test_the_page_of_faults_is_not_stale() -> None:
    """`make schemas` writes docs/faults.md anew, out of the faults themselves, and every one has a section."""
    committed = (DOCS / "faults.md").read_text(encoding="utf-8")
    assert committed == fault_page(), "run `make schemas` and commit docs/faults.md"
    assert all(f"\n## {name}\n" in committed for name in BY_NAME)
