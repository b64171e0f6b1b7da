"""The ledger's database: one transaction per batch, its positions included.

In:      a Batch, and per partition the position it begins and ends at.
Out:     positions to read on from.
Errors:  StoreLost  the database cannot be reached, is locked or lost its tables: open again, bounded
         Moved      somebody else applied records meanwhile: open again
         Refused    the database is not this ledger's: one sentence, then stop
         any other  the batch holds something that the database will not take: find the record, skip it
Source:  docs/ledger.md. The log is the truth: whatever does not match it is wiped and rebuilt.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, bindparam, insert, inspect, select, tuple_, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from services.kafka.port import TopicPartition
from services.ledger.batch import Batch
from services.ledger.domain import Balance
from services.readmodel.engine import database_url, open_engine, sqlite_path
from services.readmodel.tables import (
    SCHEMA_VERSION,
    balances,
    charges,
    entries,
    key_commands,
    key_records,
    logs,
    meta,
    metadata,
    positions,
    postings,
    processors,
)

Positions = dict[TopicPartition, int]

_GET_POSITIONS: Final = select(positions).with_for_update()
_SET_POSITION: Final = (
    update(positions)
    .where(positions.c.topic == bindparam("at_topic"), positions.c.partition == bindparam("at_partition"))
    .values(next_offset=bindparam("at_offset"))
)
_ROWS_ASKED: Final = 400  # per SELECT: two variables each, below SQLite's oldest limit of 999


class StoreLost(Exception):
    """The database is not there now; the batch was applied whole or not at all, and opening again tells."""


class Moved(Exception):
    """The positions in the database are not those that the batch begins at."""


class Refused(Exception):
    """This database belongs to somebody else."""


class LogState(NamedTuple):
    """What the log says about itself, to compare with what the database remembers of it."""

    topic_ids: Mapping[str, str]
    starts: Positions
    ends: Positions


class Opened(NamedTuple):
    """Where to read on."""

    positions: Positions
    rebuilt: str | None  # why everything was wiped, if it was
    lost: Positions  # where the log begins later than we had read: those records are gone


class Store:
    def __init__(self, url: str, namespace: str) -> None:
        path = sqlite_path(database_url(url))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = open_engine(url)
        self._namespace = namespace
        self._upserts: dict[tuple[str, tuple[str, ...]], Any] = {}  # by table and the columns given
        self._insert = _insert_of(self._engine.dialect.name)

    def open(self, log: LogState) -> Opened:
        """Make the tables where they are missing, wipe what is of another log, and say where to read on."""
        with self._transaction() as connection:
            reason = self._why_rebuild(connection, log)
            if reason is not None:
                metadata.drop_all(connection)
                metadata.create_all(connection)
                self._describe(connection, log)
            stored = _positions(connection)
            lost = {where: at for where, at in stored.items() if at < log.starts[where]}
            if lost:
                _set_positions(connection, {where: log.starts[where] for where in lost})
            return Opened(_positions(connection), reason, lost)

    def apply(self, batch: Batch, begin: Positions, end: Positions) -> None:
        """All of the batch with its positions, or nothing of it."""
        with self._transaction() as connection:
            stored = _positions(connection)
            if any(stored.get(where) != at for where, at in begin.items()):
                raise Moved("Another ledger writes to this database.")
            self._book(connection, batch)
            self._project_keys(connection, batch)
            _set_positions(connection, end)

    def check(self, begin: Positions) -> None:
        """Nothing to apply, but is the database still there, and still where we left it?"""
        with self._transaction() as connection:
            if _positions(connection) != begin:
                raise Moved("Another ledger writes to this database.")

    def close(self) -> None:
        self._engine.dispose()

    def _book(self, connection: Connection, batch: Batch) -> None:
        for table, rows in ((entries, batch.entries), (postings, batch.postings)):
            if rows:
                connection.execute(insert(table), rows)
        if batch.balances:
            known = _balances(connection, list(batch.balances))
            self._upsert(
                connection,
                balances,
                [
                    {
                        "merchant_id": owner[0],
                        "currency": owner[1],
                        **known.get(owner, Balance()).plus(change)._asdict(),
                    }
                    for owner, change in batch.balances.items()
                ],
            )
        self._upsert(connection, charges, list(batch.charges.values()), keep=("first_offset",))

    def _project_keys(self, connection: Connection, batch: Batch) -> None:
        if batch.key_commands:
            connection.execute(insert(key_commands), batch.key_commands)
        self._upsert(connection, key_records, list(batch.keys.values()))
        self._upsert(connection, key_records, list(batch.expired.values()))  # sets only what a tombstone says
        self._upsert(connection, processors, list(batch.processors.values()))

    def _upsert(
        self, connection: Connection, table: Table, rows: list[dict[str, Any]], keep: tuple[str, ...] = ()
    ) -> None:
        """Insert, or set the given columns but those to keep. All rows have the same columns."""
        if not rows:
            return
        wanted = (table.name, tuple(rows[0]))
        statement = self._upserts.get(wanted)
        if statement is None:  # building one costs as much as executing it
            statement = self._insert(table)
            fixed = {column.name for column in table.primary_key} | set(keep)
            changed = {name: statement.excluded[name] for name in rows[0] if name not in fixed}
            statement = statement.on_conflict_do_update(index_elements=table.primary_key, set_=changed)
            self._upserts[wanted] = statement
        connection.execute(statement, rows)

    def _why_rebuild(self, connection: Connection, log: LogState) -> str | None:
        present = set(inspect(connection).get_table_names()) & set(metadata.tables)
        if not present:
            return "the database was empty"
        described = _described(connection) if meta.name in present else {}
        if described.get("application") != "payonce ledger":
            raise Refused(f"The database holds tables of others ({', '.join(sorted(present))}); give an empty one.")
        if described.get("namespace") != self._namespace:
            raise Refused(f"The database is the ledger of the namespace {described.get('namespace')!r}.")
        if described.get("schema_version") != SCHEMA_VERSION or present != set(metadata.tables):
            return "the tables were of another version"
        if dict(connection.execute(select(logs)).all()) != dict(log.topic_ids):
            return "the topics are others under the same names"
        stored = _positions(connection)
        if stored.keys() != log.starts.keys():
            return "the number of partitions is another"
        if any(at > log.ends[where] for where, at in stored.items()):
            return "a position was beyond the end of the log"
        return None

    def _describe(self, connection: Connection, log: LogState) -> None:
        facts = {
            "application": "payonce ledger",
            "schema_version": SCHEMA_VERSION,
            "namespace": self._namespace,
        }
        connection.execute(insert(meta), [{"name": name, "value": value} for name, value in facts.items()])
        connection.execute(
            insert(logs),
            [{"topic": topic, "topic_id": topic_id} for topic, topic_id in log.topic_ids.items()],
        )
        connection.execute(
            insert(positions),
            [
                {"topic": where.topic, "partition": where.partition, "next_offset": at}
                for where, at in log.starts.items()
            ],
        )

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (DataError, IntegrityError):
            raise  # about what was to be written, not about the database
        except DBAPIError as error:
            raise StoreLost(f"The ledger's database failed: {str(error.orig).strip()}") from error


def _insert_of(dialect: str) -> Any:
    """The database's own INSERT: the plain one knows no ON CONFLICT, and these two share one API."""
    # Each is a noticeable part of a start, and one of them is used.
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as of_postgresql  # noqa: PLC0415

        return of_postgresql
    from sqlalchemy.dialects.sqlite import insert as of_sqlite  # noqa: PLC0415

    return of_sqlite


def _described(connection: Connection) -> dict[str, str]:
    """What `meta` says; nothing when a table of that name is somebody else's."""
    columns = {column["name"] for column in inspect(connection).get_columns(meta.name)}
    if columns != set(meta.columns.keys()):
        return {}
    return dict(connection.execute(select(meta)).all())


def _positions(connection: Connection) -> Positions:
    """All positions; in PostgreSQL they are the lock that two ledgers on one database queue for."""
    rows = connection.execute(_GET_POSITIONS)
    return {TopicPartition(topic, partition): next_offset for topic, partition, next_offset in rows}


def _set_positions(connection: Connection, end: Positions) -> None:
    connection.execute(
        _SET_POSITION,
        [{"at_topic": where.topic, "at_partition": where.partition, "at_offset": at} for where, at in end.items()],
    )


def _balances(connection: Connection, owners: list[tuple[str, str]]) -> dict[tuple[str, str], Balance]:
    found = {}
    columns = (balances.c.authorized, balances.c.captured, balances.c.refunded, balances.c.net)
    for at in range(0, len(owners), _ROWS_ASKED):
        asked = tuple_(balances.c.merchant_id, balances.c.currency).in_(owners[at : at + _ROWS_ASKED])
        query = select(balances.c.merchant_id, balances.c.currency, *columns).where(asked)
        for merchant_id, currency, *totals in connection.execute(query):
            found[merchant_id, currency] = Balance(*totals)
    return found
