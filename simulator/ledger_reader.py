"""The ledger's books out of its database, for the auditor: its own SQL, nothing of the ledger's code.

In:      a SQLAlchemy URL, SQLite or PostgreSQL; the full name of the topic `charges`.
Out:     Books, as they stood in one snapshot.
Units:   minor units, exact: totals are integers or decimal text, never floats.
Errors:  LedgerReadError, one sentence: no database there, or not a ledger's.
Source:  docs/ledger.md: entries and postings by the record's place in `charges`, balances, positions. Reads
         only.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from simulator.audit.books import Balance, Booked, Books

ROWS_AT_ONCE: Final = 10_000
LOCK_WAIT_S: Final = 5.0

_ENTRIES: Final = 'SELECT "partition", log_offset, event_type, merchant_id, currency, amount FROM entries'
_ENTRIES_OF_PART: Final = """
    SELECT "partition", log_offset, event_type, merchant_id, currency, amount FROM entries
    WHERE "partition" = :partition AND log_offset >= :begin AND log_offset < :end
"""
_POSTINGS: Final = """
    SELECT "partition", log_offset, account, currency, amount FROM postings ORDER BY "partition", log_offset, line
"""
_POSTINGS_OF_PART: Final = """
    SELECT "partition", log_offset, account, currency, amount FROM postings
    WHERE "partition" = :partition AND log_offset >= :begin AND log_offset < :end ORDER BY log_offset, line
"""


class LedgerReadError(Exception):
    """The ledger's books cannot be read."""


def read_books(ledger_url: str, charges_topic: str) -> Books:
    """Everything the auditor needs, in one transaction."""
    with OpenBooks(ledger_url, charges_topic) as books:
        return books.whole()


class OpenBooks:
    """`with OpenBooks(url, topic) as books:` the books as they stood on entering, to be read in parts.

    Not for two threads at once.
    """

    positions: dict[int, int]
    balances: dict[tuple[str, str], Balance]

    def __init__(self, ledger_url: str, charges_topic: str) -> None:
        self._url = ledger_url
        self._topic = charges_topic
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opened, _one_sentence():
            engine = _engine(self._url)
            opened.callback(engine.dispose)
            self._connection = opened.enter_context(engine.connect())
            self._read_totals()
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    def _read_totals(self) -> None:
        """Positions first: on SQLite it is the first question that fixes what all others see."""
        query = text('SELECT "partition", next_offset FROM positions WHERE topic = :topic')
        self.positions = {row[0]: row[1] for row in self._connection.execute(query, {"topic": self._topic})}
        self.balances = {
            (merchant, currency): Balance(*(int(total) for total in totals))
            for merchant, currency, *totals in self._rows(
                "SELECT merchant_id, currency, authorized, captured, refunded, net FROM balances"
            )
        }

    def whole(self) -> Books:
        with _one_sentence():
            return self._journal(_ENTRIES, _POSTINGS, {}, is_part=False)

    def part(self, partition: int, begin: int, end: int) -> Books:
        """The journal of the events of one partition in [begin, end)."""
        bounds = {"partition": partition, "begin": begin, "end": end}
        with _one_sentence():
            return self._journal(_ENTRIES_OF_PART, _POSTINGS_OF_PART, bounds, is_part=True)

    def _journal(self, entries: str, postings: str, bounds: dict[str, int], *, is_part: bool) -> Books:
        books = Books(positions=self.positions, balances=self.balances, is_part=is_part)
        for partition, offset, kind, merchant, currency, amount in self._rows(entries, bounds):
            books.entries[partition, offset] = Booked(kind, merchant, currency, int(amount))
        for partition, offset, account, currency, amount in self._rows(postings, bounds):
            books.postings.setdefault((partition, offset), []).append((account, currency, int(amount)))
        return books

    def _rows(self, query: str, bounds: dict[str, int] | None = None) -> Any:
        streaming = self._connection.execution_options(yield_per=ROWS_AT_ONCE)
        return streaming.execute(text(query), bounds or {})


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, ImportError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise LedgerReadError(f"The ledger's database cannot be read: {reason}.") from None


def _engine(ledger_url: str) -> Engine:
    url = make_url(ledger_url)
    if url.drivername in ("postgres", "postgresql"):
        # One snapshot for all four queries: the ledger may be writing meanwhile.
        return create_engine(url.set(drivername="postgresql+psycopg"), isolation_level="REPEATABLE READ")
    if url.get_backend_name() == "sqlite" and url.database:
        return _sqlite(url)
    return create_engine(url)


def _sqlite(url: URL) -> Engine:
    """A database that is there: SQLite would make an empty one of a misspelt path."""
    existing = URL.create(url.drivername, database=f"file:{url.database}", query={"mode": "rw", "uri": "true"})
    engine = create_engine(existing, connect_args={"timeout": LOCK_WAIT_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction before a SELECT; we do
        connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
