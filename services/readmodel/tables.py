"""The ledger's tables: the ledger writes them, the gateway and anybody with a SQL client read them.

Units:   money in integer minor units; instants in Unix milliseconds, UTC; offsets are Kafka's.
Source:  docs/ledger.md explains each table; that page and these names are what outside readers rely on.

Every row follows from the log alone. `entries`, `postings` and `key_commands` are only ever inserted, under
their record's own place on the log; the other tables are folds, kept in the same database transaction.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

SCHEMA_VERSION = "1"  # another version on disk is wiped and rebuilt from the log


class Total(TypeDecorator[int]):
    """A sum of amounts. One amount fits 64 bits, nine million of the largest do not.

    NUMERIC in PostgreSQL; decimal text in SQLite, whose NUMERIC silently turns into a float there. Read it
    with int(...); sums are made in Python, never in SQL.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(38, 0))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        return str(value) if value is not None and dialect.name != "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),  # schema_version, namespace
    Column("value", Text, nullable=False),
)

logs = Table(
    "logs",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("topic_id", Text, nullable=False),  # another id under the same name is another log: wipe, rebuild
)

positions = Table(
    "positions",
    metadata,
    Column("topic", Text, primary_key=True),  # the full name: payments.charges
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),  # past markers and aborted records too
    sqlite_with_rowid=False,
)

entries = Table(
    "entries",
    metadata,
    Column("partition", Integer, primary_key=True),  # the record's place in the topic `charges`
    Column("log_offset", BigInteger, primary_key=True),
    Column("event_id", Text, nullable=False),  # below exactly-once not unique: every record is booked
    Column("event_type", Text, nullable=False),
    Column("charge_id", Text, nullable=False),
    Column("merchant_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("command_id", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("occurred_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("entries_by_key", entries.c.merchant_id, entries.c.idempotency_key)

postings = Table(
    "postings",
    metadata,
    Column("partition", Integer, primary_key=True),
    Column("log_offset", BigInteger, primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),  # a debit is positive, a credit negative
    sqlite_with_rowid=False,
)

balances = Table(
    "balances",
    metadata,
    Column("merchant_id", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("authorized", Total, nullable=False),  # open holds, now
    Column("captured", Total, nullable=False),  # ever
    Column("refunded", Total, nullable=False),  # ever
    Column("net", Total, nullable=False),  # captured - refunded
    sqlite_with_rowid=False,
)

charges = Table(
    "charges",
    metadata,
    Column("merchant_id", Text, primary_key=True),
    Column("charge_id", Text, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("first_offset", BigInteger, nullable=False),  # of its first event: newest first is this, descending
    Column("last_offset", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # the charge after that event, RFC 8785
)
Index("charges_newest", charges.c.merchant_id, charges.c.first_offset)

key_commands = Table(
    "key_commands",
    metadata,
    Column("partition", Integer, primary_key=True),  # the record's place in the topic `commands`
    Column("log_offset", BigInteger, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("command_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("appended_at", BigInteger, nullable=False),  # the log's timestamp
    sqlite_with_rowid=False,
)
Index(
    "key_commands_by_key",
    key_commands.c.merchant_id,
    key_commands.c.idempotency_key,
    key_commands.c.log_offset,
)

key_records = Table(
    "key_records",
    metadata,
    Column("merchant_id", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("tombstoned", Boolean, nullable=False),  # what the key held before it expired stays beside it
    Column("operation", Text),  # all null from here: compaction left nothing but the tombstone
    Column("fingerprint", Text),
    Column("status", Integer),
    Column("body", Text),
    Column("charge_id", Text),
    Column("event_id", Text),
    Column("command_id", Text),
    Column("command_offset", BigInteger),  # of the command that was executed
    Column("completed_at", BigInteger),
    Column("expires_at", BigInteger),
)

processors = Table(
    "processors",
    metadata,
    Column("partition", Integer, primary_key=True),  # what `@position` in `keys` said last
    Column("position", BigInteger, nullable=False),  # the next command to execute
    Column("clock", BigInteger, nullable=False),
)
