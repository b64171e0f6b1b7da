"""The ledger's two named bugs (`--break`), here and nowhere else; the auditor must convict both.

`skip-posting`      now and then a posting is written but its effect on the balances forgotten: ledger_drift
`unbalanced-entry`  now and then an entry is written without its last posting: ledger_imbalance

They hit the first entry that moves money and every fiftieth from there, so that a short run shows them too.
"""

from collections.abc import Collection
from typing import Final

from services.ledger.domain import Posting

BREAKS: Final = ("skip-posting", "unbalanced-entry")
EVERY: Final = 50

Lines = tuple[Posting, ...]


class Sabotage:
    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = frozenset(names)
        self._entries = 0

    def __call__(self, lines: Lines) -> tuple[Lines, Lines]:
        """The postings to write and those to count in the balances; the same when nothing is broken."""
        if not self._names or not lines:
            return lines, lines
        hit = self._entries % EVERY == 0
        self._entries += 1
        written = lines[:-1] if hit and "unbalanced-entry" in self._names else lines
        counted = lines[:-1] if hit and "skip-posting" in self._names else lines
        return written, counted
