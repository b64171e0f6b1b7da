"""What is published of the contract is what the code says."""

from pathlib import Path

from events.schemas import schemas, written

FOLDER = Path(__file__).parents[2] / "docs" / "events"


def test_committed_schemas_are_not_stale() -> None:
    """`make schemas` writes them anew."""
    assert {name: written(document) for name, document in schemas().items()} == {
        path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")
    }
