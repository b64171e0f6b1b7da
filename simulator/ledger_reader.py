"""The ledger's books out of its database, for the auditor: its own SQL, nothing of the ledger's code.

In:      a SQLAlchemy URL, SQLite or PostgreSQL; the full name of the topic `charges`.
Out:     Books, as they stood in one snapshot.
Units:   minor units, exact: totals are integers or decimal text, never floats.
Errors:  LedgerReadError, one sentence: no database there, or not a ledger's.
Source:  docs/ledger.md: entries and postings by the record's place in `charges`, balances, positions. Reads
         only.
"""

from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from simulator.audit.books import Balance, Booked, Books

ROWS_AT_ONCE: Final = 10_000
LOCK_WAIT_S: Final = 5.0


class LedgerReadError(Exception):
    """The ledger's books cannot be read."""


def read_books(ledger_url: str, charges_topic: str) -> Books:
    """Everything the auditor needs, in one transaction."""
    try:
        engine = _engine(ledger_url)
        try:
            with engine.connect() as connection:
                return _read(connection, charges_topic)
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError, ValueError) as error:
        reason = str(error).split("\n", 1)[0]
        raise LedgerReadError(f"The ledger's database cannot be read: {reason}.") from None


def _read(connection: Connection, charges_topic: str) -> Books:
    books = Books()
    query = text('SELECT "partition", next_offset FROM positions WHERE topic = :topic')
    for partition, offset in connection.execute(query, {"topic": charges_topic}):
        books.positions[partition] = offset
    for partition, offset, kind, merchant, currency, amount in _rows(
        connection,
        'SELECT "partition", log_offset, event_type, merchant_id, currency, amount FROM entries',
    ):
        books.entries[partition, offset] = Booked(kind, merchant, currency, int(amount))
    for partition, offset, account, currency, amount in _rows(
        connection,
        'SELECT "partition", log_offset, account, currency, amount FROM postings '
        'ORDER BY "partition", log_offset, line',
    ):
        books.postings.setdefault((partition, offset), []).append((account, currency, int(amount)))
    for merchant, currency, *totals in _rows(
        connection, "SELECT merchant_id, currency, authorized, captured, refunded, net FROM balances"
    ):
        books.balances[merchant, currency] = Balance(*(int(total) for total in totals))
    return books


def _rows(connection: Connection, query: str) -> Any:
    return connection.execution_options(yield_per=ROWS_AT_ONCE).execute(text(query))


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
    engine = create_engine(existing, connect_args={"timeout": LOCK_WAIT_S})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction before a SELECT; we do
        connection.execute("PRAGMA query_only = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
