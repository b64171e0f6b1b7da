"""Other people's scripts that are inlined in reports are those that were published."""

import hashlib
from pathlib import Path

import pytest

ASSETS = Path(__file__).parents[2] / "simulator" / "report" / "assets"
PUBLISHED = {
    "d3.min.js": "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1",  # npm: d3 7.9.2, dist/
    "plot.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",  # @observablehq/plot 0.6.17
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_vendored_script_is_unchanged(name: str) -> None:
    """Byte for byte what the registry has under the version that docs/report.md names, with its licence beside it."""
    assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == PUBLISHED[name]
    assert "Permission to use, copy, modify" in (ASSETS / f"{name.partition('.')[0]}.LICENSE").read_text()
