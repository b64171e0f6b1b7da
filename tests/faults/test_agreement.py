"""Another auditor, with code of its own, counts what ours counts: commands, charges, events, duplicates, money.

More seeds: `python -m tests.support.agree --seeds 1-24`.
"""

from pathlib import Path

import pytest

from simulator.broker.embedded import EmbeddedBroker
from tests.support.agree import compare


@pytest.mark.parametrize("guarantee", ["at-least-once", "exactly-once"])
def test_both_auditors_agree(kafka: EmbeddedBroker, tmp_path: Path, guarantee: str) -> None:
    """On a run with lost answers, copies of the network and a kill; below exactly-once both see duplicates."""
    assert compare(kafka.bootstrap_servers, tmp_path, 3, guarantee) == []
