"""What a service has to import before it can be ready, and that its collector works afterwards."""

import subprocess
import sys

import pytest

ASK = """
import gc, sys
from services import lean_imports
import services.{role}.main
assert not gc.isenabled()
lean_imports.imported()
assert gc.isenabled() and gc.get_freeze_count() > 10_000
print(*sorted({{name.partition(".")[0] for name in sys.modules if sys.modules[name] is not None}}))
"""
NEVER = {"click", "rich", "hypothesis", "psycopg"}


@pytest.mark.parametrize(
    ("role", "later"),
    [("gateway", {"sqlalchemy", "faststream"}), ("processor", {"sqlalchemy"}), ("ledger", set[str]())],
)
def test_a_service_starts_without_what_it_does_not_need(role: str, later: set[str]) -> None:
    """Each of these is felt in every start; SQLAlchemy alone is more than all the rest of a gateway."""
    asked = subprocess.run(
        [sys.executable, "-c", ASK.format(role=role)], check=True, capture_output=True, text=True, timeout=60
    )
    assert (NEVER | later) & set(asked.stdout.split()) == set()
