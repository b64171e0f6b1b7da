"""Open the ledger's database, SQLite or PostgreSQL, the same way for its writer and its readers.

In:      a SQLAlchemy URL; `postgresql://` means psycopg 3, the driver that is installed.
Out:     an Engine whose connections are safe to use from several threads, one transaction each.
Errors:  SQLAlchemy's own; a SQLite file deleted or replaced under a connection is noticed at checkout.

The log is the truth and positions are stored with their effects, so what a power cut takes back is
read again: SQLite runs with synchronous=NORMAL, PostgreSQL with synchronous_commit=off.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError

LOCK_WAIT_S = 5.0  # how long SQLite waits for another writer before "database is locked"
CONNECT_WAIT_S = 5


def database_url(text: str) -> URL:
    """The URL with the driver we have; raises sqlalchemy.exc.ArgumentError on nonsense."""
    url = make_url(text)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    return url


def sqlite_path(url: URL) -> Path | None:
    """Where a SQLite database lives; None for other databases and for one in memory."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def open_engine(text: str, *, read_only: bool = False) -> Engine:
    """Connects to nothing yet. A reader never creates a database and never writes to one."""
    url = database_url(text)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, read_only)
    return _postgresql(url, read_only)


def _sqlite(url: URL, read_only: bool) -> Engine:
    path = sqlite_path(url)
    if path is not None and read_only:  # `rw`, not `ro`: a reader of a WAL may have to make the shared memory file
        url = URL.create(url.drivername, database=f"file:{path}", query={**url.query, "mode": "rw", "uri": "true"})
    engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        else:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA temp_store = MEMORY")
        record.info["inode"] = path.stat().st_ino if path is not None else None

    @event.listens_for(engine, "checkout")
    def same_file(connection: Any, record: Any, proxy: Any) -> None:
        # SQLite goes on happily on an unlinked file that nobody else will ever see.
        if path is not None and record.info["inode"] != _inode(path):
            raise DisconnectionError(f"{path} is not the file that was opened")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _postgresql(url: URL, read_only: bool) -> Engine:
    engine = create_engine(
        url,
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",  # a reader wants one snapshot
        connect_args={"connect_timeout": CONNECT_WAIT_S},
    )
    if not read_only:

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, record: Any) -> None:
            connection.execute("SET synchronous_commit = off")
            connection.commit()

    return engine
