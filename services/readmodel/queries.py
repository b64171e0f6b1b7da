"""What may be asked of the ledger's database: positions, charges, balances, the life of a key.

In:      a SQLAlchemy URL, then merchant ids, keys and cursors as the contract has them.
Out:     JSON text of charges, balances as integers, the contract's Key object as a dict.
Units:   money in minor units; instants in Unix milliseconds.
Errors:  Unavailable when the database is missing, empty or unreachable; `position` then answers None.

The ledger reads the topics independently, so a key's record may be known before its command, or the
reverse: every answer here is computed from whatever is there, and is right once the positions have passed.
All methods are synchronous, safe from several threads, and see one snapshot each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from services.readmodel.engine import open_engine
from services.readmodel.tables import (
    balances,
    charges,
    entries,
    key_commands,
    key_records,
    positions,
    processors,
)

COMMANDS_SHOWN = 1000  # of one key, oldest first; `attempts` counts them all


class Unavailable(Exception):
    """The ledger's database cannot be read now: not there yet, being rebuilt, or down."""


class ReadModel:
    """The read side of the ledger's database; never creates it, never writes to it."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, read_only=True)

    def position(self, topic: str, partition: int) -> int | None:
        """The next offset to apply; None when unknown. The topic by its full name, `payments.charges`.

        Markers and aborted records are passed too, so it reaches the high watermark also without a record.
        """
        query = select(positions.c.next_offset).where(positions.c.topic == topic, positions.c.partition == partition)
        try:
            with self._connect() as connection:
                return connection.scalar(query)
        except Unavailable:
            return None

    def charge(self, merchant_id: str, charge_id: str) -> str | None:
        """The charge after its newest event, as JSON text; None when this merchant has no such charge."""
        with self._connect() as connection:
            return connection.scalar(select(charges.c.body).where(_is_charge(merchant_id, charge_id)))

    def charges(self, merchant_id: str, limit: int, starting_after: str | None) -> tuple[list[str], bool] | None:
        """One page, newest first, and whether there is more; None: the cursor is no charge of theirs."""
        query = select(charges.c.body).where(charges.c.merchant_id == merchant_id)
        with self._connect() as connection:
            if starting_after is not None:
                cursor = connection.scalar(
                    select(charges.c.first_offset).where(_is_charge(merchant_id, starting_after))
                )
                if cursor is None:
                    return None
                query = query.where(charges.c.first_offset < cursor)
            page = connection.scalars(query.order_by(charges.c.first_offset.desc()).limit(limit + 1)).all()
        return list(page[:limit]), len(page) > limit

    def balances(self, merchant_id: str) -> list[dict[str, Any]]:
        """Per currency: open holds, ever captured, ever refunded, and captured less refunded."""
        columns = (
            balances.c.currency,
            balances.c.authorized,
            balances.c.captured,
            balances.c.refunded,
            balances.c.net,
        )
        query = select(*columns).where(balances.c.merchant_id == merchant_id).order_by(balances.c.currency)
        with self._connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def key(self, merchant_id: str, key: str, now_ms: int) -> dict[str, Any] | None:
        """The life of a key; None when neither a command nor an answer of it is known any more."""
        with self._connect() as connection:
            record = _one(connection, select(key_records).where(_has_key(key_records, merchant_id, key)))
            commands = _commands(connection, merchant_id, key)
            if not commands and (record is None or record["operation"] is None):
                return None
            partition = record["partition"] if record is not None else commands[0]["partition"]
            reached = _one(connection, select(processors).where(processors.c.partition == partition))
            counts = _counts(connection, merchant_id, key)
            pending = _pending(connection, merchant_id, key, record, reached)
        held = record is not None and not _expired(record, reached, now_ms)
        return _life(key, record, commands, counts, pending, held)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (DBAPIError, OSError, SQLAlchemyError) as error:
            raise Unavailable(str(error)) from error


def _is_charge(merchant_id: str, charge_id: str) -> Any:
    return and_(charges.c.merchant_id == merchant_id, charges.c.charge_id == charge_id)


def _has_key(table: Any, merchant_id: str, key: str) -> Any:
    return and_(table.c.merchant_id == merchant_id, table.c.idempotency_key == key)


def _one(connection: Connection, query: Any) -> RowMapping | None:
    return connection.execute(query).mappings().one_or_none()


def _commands(connection: Connection, merchant_id: str, key: str) -> list[RowMapping]:
    query = select(key_commands).where(_has_key(key_commands, merchant_id, key))
    return list(connection.execute(query.order_by(key_commands.c.log_offset).limit(COMMANDS_SHOWN)).mappings())


def _counts(connection: Connection, merchant_id: str, key: str) -> tuple[int, int]:
    """Attempts are commands with the key, executions are event records carrying it, over all its lives."""
    attempts, executions = (
        connection.scalar(select(func.count()).select_from(table).where(_has_key(table, merchant_id, key)))
        for table in (key_commands, entries)
    )
    return attempts or 0, executions or 0


def _expired(record: RowMapping, reached: RowMapping | None, now_ms: int) -> bool:
    clock = max(now_ms, reached["clock"] if reached is not None else 0)
    return bool(record["tombstoned"] or clock >= record["expires_at"])


def _pending(
    connection: Connection, merchant_id: str, key: str, record: RowMapping | None, reached: RowMapping | None
) -> RowMapping | None:
    """The oldest command with the key that no processor has answered yet.

    Where nobody writes `@position`, the record's own offset and the log's timestamps decide.
    """
    query = select(key_commands).where(_has_key(key_commands, merchant_id, key))
    if reached is not None:
        query = query.where(key_commands.c.log_offset >= reached["position"])
    elif record is not None and record["expires_at"] is not None:
        query = query.where(
            key_commands.c.log_offset > record["command_offset"],
            key_commands.c.appended_at >= record["expires_at"],
        )
    elif record is not None:  # nothing but a tombstone: its time is not known
        return None
    return _one(connection, query.order_by(key_commands.c.log_offset).limit(1))


def _life(
    key: str,
    record: RowMapping | None,
    commands: list[RowMapping],
    counts: tuple[int, int],
    pending: RowMapping | None,
    held: bool,
) -> dict[str, Any]:
    """The contract's Key object.

    `expired` also covers a key whose commands were all answered without storing anything (refused,
    dead-lettered): nothing is in flight, nothing is held, the next request with the key runs as a new one.
    """
    state = "completed" if held else "in_flight" if pending is not None else "expired"
    shown: Any = {}
    if state == "in_flight" and pending is not None:
        shown = {name: pending[name] for name in ("operation", "fingerprint", "command_id")}
    elif record is not None and record["operation"] is not None:
        shown = record
    elif commands:
        shown = {name: commands[0][name] for name in ("operation", "fingerprint", "command_id")}
    return {
        "object": "idempotency_key",
        "key": key,
        "state": state,
        "operation": shown.get("operation"),
        "fingerprint": shown.get("fingerprint"),
        "status": shown.get("status"),
        "body": shown.get("body"),
        "charge_id": shown.get("charge_id"),
        "command_id": shown.get("command_id"),
        "attempts": counts[0],
        "executions": counts[1],
        "first_seen_at": commands[0]["appended_at"] if commands else shown.get("completed_at"),
        "completed_at": shown.get("completed_at"),
        "expires_at": shown.get("expires_at"),
        "commands": [
            {"partition": row["partition"], "offset": row["log_offset"], "command_id": row["command_id"]}
            for row in commands
        ],
    }
