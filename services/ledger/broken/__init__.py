"""The ledger's named bugs (`--break NAME`), one a file; services.named_bugs says how they come in.

Those about single entries hit the first one that moves money and every fiftieth from there, so that a short run
shows them too.
"""

from collections.abc import Callable
from typing import Final

from services.ledger.domain import Book, Lines

EVERY: Final = 50


def now_and_then(otherwise: Book, badly: Callable[[Lines, Lines], tuple[Lines, Lines]]) -> Book:
    """Book `badly`, given the lines to write and those to count, where it is an entry's turn."""
    entries = 0

    def book(lines: Lines) -> tuple[Lines, Lines]:
        nonlocal entries
        written, counted = otherwise(lines)
        if not lines:
            return written, counted
        hit = entries % EVERY == 0
        entries += 1
        return badly(written, counted) if hit else (written, counted)

    return book
