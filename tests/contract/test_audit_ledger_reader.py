"""The auditor's own SQL over the ledger's database, one suite for SQLite and a real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulator.audit.books import Balance, Booked
from simulator.ledger_reader import LedgerReadError, OpenBooks, read_books
from tests.support.databases import Postgres, postgres, sqlite_url
from tests.support.ledger_records import SHOP, event
from tests.support.ledger_records import Booked as Ledger


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    running: Postgres = request.getfixturevalue("server")
    return running.new_database()


def test_books_are_what_the_ledger_wrote(url: str) -> None:
    """Entries by their place on the log, postings that balance, balances and positions, read from outside."""
    ledger = Ledger(url)
    try:
        ledger.open()
        ledger.apply(charges=[event(0), event(1, "authorized", number=2, amount=900)])
        books = read_books(url, "payments.charges")
    finally:
        ledger.close()
    assert books.entries == {
        (0, 0): Booked("charge.succeeded", SHOP, "eur", 500),
        (0, 1): Booked("charge.authorized", SHOP, "eur", 900),
    }
    assert all(sum(amount for _, _, amount in lines) == 0 for lines in books.postings.values())
    assert books.balances == {(SHOP, "eur"): Balance(authorized=900, captured=500, refunded=0, net=500)}
    assert books.positions[0] >= 2


def test_books_in_parts_are_the_books(url: str) -> None:
    """Ranges that meet have every entry once, from any thread, and as they stood when they were opened."""
    ledger = Ledger(url)
    try:
        ledger.open()
        ledger.apply(charges=[event(0), event(1, "authorized", number=2, amount=900), event(4, number=3)])
        whole = read_books(url, "payments.charges")
        with OpenBooks(url, "payments.charges") as books, ThreadPoolExecutor(1) as elsewhere:
            ledger.apply(charges=[event(5, number=4)])
            parts = [elsewhere.submit(books.part, 0, begin, end).result() for begin, end in ((0, 1), (1, 4), (4, 99))]
            other = books.part(1, 0, 99)
    finally:
        ledger.close()
    assert [list(part.entries) for part in parts] == [[(0, 0)], [(0, 1)], [(0, 4)]]
    assert {place: entry for part in parts for place, entry in part.entries.items()} == whole.entries
    assert {place: lines for part in parts for place, lines in part.postings.items()} == whole.postings
    assert (other.entries, books.balances, books.positions) == ({}, whole.balances, whole.positions)
    assert all(part.is_part for part in parts)
    assert not whole.is_part


def test_database_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """A misspelt path is an error, and makes no file."""
    url = sqlite_url(tmp_path)
    with pytest.raises(LedgerReadError, match="cannot be read"):
        read_books(url, "payments.charges")
    assert list(tmp_path.iterdir()) == []
