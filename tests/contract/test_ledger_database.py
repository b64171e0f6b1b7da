"""The ledger's database and its read side, one suite for SQLite and a real PostgreSQL.

Long, and one idea: whatever the read side may be asked is told of both databases in one place, so that neither can pass
what the other does not.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from events.charges import Charge
from events.identifiers import charge_id
from events.keys import KeyLife
from services.kafka.port import TopicPartition
from services.ledger.batch import Batch
from services.ledger.store import Moved, Refused, Store, StoreLost
from services.readmodel import ReadModel, Unavailable
from services.readmodel.engine import database_url
from tests.support.databases import Postgres, postgres, sqlite_url
from tests.support.ledger_records import (
    AT,
    SHOP,
    TTL_MS,
    Booked,
    command,
    command_id,
    event,
    key_record,
    position,
    tombstone,
)


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


@pytest.fixture
def ledger(url: str) -> Iterator[Booked]:
    booked = Booked(url)
    yield booked
    booked.close()


def rows(url: str, sql: str) -> list[Any]:
    """As an outside reader asks, by plain SQL."""
    engine = create_engine(database_url(url))
    with engine.connect() as connection:
        found = list(connection.execute(text(sql)))
    engine.dispose()
    return found


# -- charges and balances --------------------------------------------------------------------------


def test_a_life_of_a_charge_is_booked(ledger: Booked, url: str) -> None:
    """Authorized, captured in part, refunded in part: balances, entries and postings agree."""
    ledger.apply(charges=[event(0, "authorized")])
    assert ledger.read.balances(SHOP) == [
        {"currency": "eur", "authorized": 500, "captured": 0, "refunded": 0, "net": 0}
    ]
    ledger.apply(
        charges=[
            event(2, "captured", number=2, of=1, amount=300, authorized=500),
            event(4, "refunded", number=3, of=1, amount=100, authorized=500),
        ]
    )
    assert ledger.read.balances(SHOP) == [
        {"currency": "eur", "authorized": 0, "captured": 300, "refunded": 100, "net": 200}
    ]
    assert [tuple(row) for row in rows(url, "SELECT log_offset, event_type FROM entries ORDER BY 1")] == [
        (0, "charge.authorized"),
        (2, "charge.captured"),
        (4, "charge.refunded"),
    ]
    sums = rows(url, "SELECT log_offset, currency, SUM(amount), COUNT(*) FROM postings GROUP BY 1, 2 ORDER BY 1")
    assert [(at, int(total), lines) for at, _, total, lines in sums] == [(0, 0, 2), (2, 0, 4), (4, 0, 2)]
    body = ledger.read.charge(SHOP, charge_id(SHOP, command_id(1)))
    assert json.loads(body or "")["description"] == "after offset 4"


def test_the_newest_event_wins_also_across_batches(ledger: Booked) -> None:
    """Shown is the charge after its event of the highest offset; its place in lists is that of its first."""
    ledger.apply(charges=[event(0, "authorized", number=1), event(1, number=2)])
    ledger.apply(charges=[event(2, "captured", number=3, of=1)])
    page = ledger.read.charges(SHOP, 10, None)
    assert page is not None
    assert [json.loads(charge)["description"] for charge in page[0]] == ["after offset 1", "after offset 2"]


def test_a_repeated_event_is_booked_again(ledger: Booked) -> None:
    """Below exactly-once an event may stand on the log twice: money is counted per record."""
    ledger.apply(charges=[event(0), event(1)])
    ledger.apply(charges=[event(2)])
    assert ledger.read.balances(SHOP)[0]["captured"] == 1500
    page = ledger.read.charges(SHOP, 10, None)
    assert page is not None
    assert len(page[0]) == 1


def test_merchants_and_currencies_are_kept_apart(ledger: Booked) -> None:
    """One balance per merchant and currency, sorted by currency; nobody sees another's charges."""
    ledger.apply(charges=[event(0, number=1), event(1, number=2, currency="chf"), event(2, number=3, merchant="other")])
    assert [(each["currency"], each["net"]) for each in ledger.read.balances(SHOP)] == [
        ("chf", 500),
        ("eur", 500),
    ]
    assert [each["net"] for each in ledger.read.balances("other")] == [500]
    assert ledger.read.balances("nobody") == []
    theirs = charge_id("other", command_id(3))
    assert ledger.read.charge(SHOP, theirs) is None
    assert ledger.read.charges(SHOP, 10, theirs) is None


def test_sums_beyond_64_bits_stay_exact(ledger: Booked, url: str) -> None:
    """Nine million of the largest charges do not overflow, in SQLite neither."""
    ledger.apply(charges=[event(0, amount=999_999_999_999)])
    engine = create_engine(database_url(url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE balances SET captured = '99999999999999999999', net = '99999999999999999999'"))
    engine.dispose()
    ledger.apply(charges=[event(1, amount=999_999_999_999)])
    assert ledger.read.balances(SHOP)[0]["captured"] == 99_999_999_999_999_999_999 + 999_999_999_999


def test_lists_are_paged_newest_first(ledger: Booked) -> None:
    """Pages follow each other without a gap or an overlap, and say whether there is more."""
    ledger.apply(charges=[event(offset, number=offset + 1) for offset in range(7)])
    seen, cursor, more = [], None, True
    while more:
        page = ledger.read.charges(SHOP, 3, cursor)
        assert page is not None
        charges, more = page
        seen += [json.loads(charge)["description"] for charge in charges]
        cursor = json.loads(charges[-1])["id"]
    assert seen == [f"after offset {offset}" for offset in reversed(range(7))]
    assert ledger.read.charges(SHOP, 3, cursor) == ([], False)
    assert ledger.read.charges(SHOP, 3, charge_id(SHOP, "unknown")) is None
    assert ledger.read.charges("nobody", 3, None) == ([], False)
    assert Charge.model_validate_json(ledger.read.charge(SHOP, cursor or "") or "").id == cursor


# -- positions -------------------------------------------------------------------------------------


def test_positions_are_stored_with_the_effects(ledger: Booked, url: str) -> None:
    """A new process goes on exactly where the last database transaction ended."""
    ledger.apply(charges=[event(0), event(5, number=2)])
    again = Booked(url)
    assert again.opened.rebuilt is None
    assert again.positions == ledger.positions
    assert again.read.position("payments.charges", 0) == 6
    assert again.read.position("payments.keys", 0) == 0
    assert again.read.position("payments.charges", 1) is None
    again.close()


def test_positions_move_without_records(ledger: Booked) -> None:
    """Markers and aborted records are passed, so that the high watermark is reached."""
    where = ledger.topics["charges"]
    ledger.store.apply(Batch(1), {where: 0}, {where: 9})
    assert ledger.read.position(where.topic, 0) == 9


def test_two_ledgers_never_book_a_record_twice(ledger: Booked, url: str) -> None:
    """The one that comes second to a batch is told so and nothing of its batch stays."""
    second = Booked(url)
    ledger.apply(charges=[event(0)])
    with pytest.raises(Moved):
        second.apply(charges=[event(0)], keys=[key_record(0)])
    with pytest.raises(Moved):
        second.store.check(second.positions)
    assert ledger.read.balances(SHOP)[0]["captured"] == 500
    assert ledger.read.position("payments.keys", 0) == 0
    second.close()


def test_a_record_that_stands_in_the_database_already_is_refused(ledger: Booked) -> None:
    """Should positions ever be wrong, the place on the log is a key that no record has twice."""
    ledger.apply(charges=[event(0)])
    where = ledger.topics["charges"]
    batch = Batch(1)
    batch.add("charges", where, [event(0)])
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        ledger.store.apply(batch, {where: 1}, {where: 2})
    assert ledger.read.position(where.topic, 0) == 1


# -- rebuilding ------------------------------------------------------------------------------------


def test_another_log_under_the_same_name_is_rebuilt_from(ledger: Booked, url: str) -> None:
    """Other topic ids: everything is wiped, and positions begin at the start of the log."""
    ledger.apply(charges=[event(0)], keys=[key_record(0)], commands=[command(0)])
    other = Booked(url, topic_id="2")
    assert other.opened.rebuilt is not None
    assert set(other.positions.values()) == {0}
    assert other.read.balances(SHOP) == []
    assert other.read.key(SHOP, "k", AT) is None
    other.close()


def test_a_position_beyond_the_log_is_rebuilt_from(ledger: Booked) -> None:
    """A log shorter than what was read is not the log that was read."""
    ledger.apply(charges=[event(4)])
    assert ledger.open(end=5).rebuilt is None
    assert ledger.open(end=4).rebuilt is not None


def test_a_log_that_begins_later_is_gone_on_with(ledger: Booked) -> None:
    """Records that retention took are named as lost; what was booked stays."""
    ledger.apply(charges=[event(4)])
    opened = ledger.open(start=7)
    assert opened.rebuilt is None
    assert opened.lost == {
        ledger.topics["charges"]: 5,
        ledger.topics["keys"]: 0,
        ledger.topics["commands"]: 0,
    }
    assert set(opened.positions.values()) == {7}
    assert ledger.read.balances(SHOP)[0]["captured"] == 500


def test_rebuilding_gives_the_same_rows(ledger: Booked, url: str) -> None:
    """The same records in other batches and another order of topics make the same database."""
    charges = [
        event(0, "authorized"),
        event(1, "captured", number=2, of=1),
        event(3, "refunded", number=3, of=1),
    ]
    keys = [key_record(0), position(1, 1), tombstone(2), position(3, 2)]
    commands = [command(0), command(1, number=2)]
    ledger.apply(charges=charges, keys=keys, commands=commands)
    tables = (
        "balances",
        "charges",
        "entries",
        "postings",
        "key_commands",
        "key_records",
        "processors",
        "positions",
    )
    before = {table: sorted(map(tuple, rows(url, f"SELECT * FROM {table}")), key=repr) for table in tables}
    again = Booked(url, topic_id="2")
    for record in commands:
        again.apply(commands=[record])
    for record in keys:
        again.apply(keys=[record])
    for record in charges:
        again.apply(charges=[record])
    after = {table: sorted(map(tuple, rows(url, f"SELECT * FROM {table}")), key=repr) for table in tables}
    assert after == before
    again.close()


def test_somebody_elses_tables_are_never_dropped(url: str) -> None:
    """A database that holds a table of the same name, but not our mark, is refused in one sentence."""
    engine = create_engine(database_url(url))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE meta (id INTEGER)"))
        connection.execute(text("CREATE TABLE charges (id INTEGER)"))
    engine.dispose()
    with pytest.raises(Refused, match="charges, meta"):
        Booked(url)


def test_another_namespaces_ledger_is_refused(ledger: Booked, url: str) -> None:
    """Two namespaces do not share a database: each would wipe the other's."""
    store = Store(url, "elsewhere")
    with pytest.raises(Refused, match="payments"):
        store.open(None)  # type: ignore[arg-type]  # refused before the log is looked at
    store.close()


def test_a_database_without_tables_is_lost_and_then_made_again(ledger: Booked, url: str) -> None:
    """Tables dropped while the ledger runs: the batch is not applied, and opening starts over."""
    ledger.apply(charges=[event(0)])
    engine = create_engine(database_url(url))
    with engine.begin() as connection:
        for (table,) in list(rows(url, _TABLES[engine.dialect.name])):
            connection.execute(text(f"DROP TABLE {table}"))
    engine.dispose()
    with pytest.raises(StoreLost):
        ledger.apply(charges=[event(1)])
    with pytest.raises(Unavailable):
        ledger.read.balances(SHOP)
    assert ledger.read.position("payments.charges", 0) is None
    assert set(ledger.open().positions.values()) == {0}
    assert ledger.read.balances(SHOP) == []


_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}


def test_a_deleted_sqlite_file_is_noticed_by_both_sides(tmp_path: Path) -> None:
    """Neither writer nor reader goes on with a file that has no name any more, or with its journal."""
    ledger = Booked(sqlite_url(tmp_path))
    ledger.apply(charges=[event(0)])
    (tmp_path / "ledger.db").unlink()
    assert ledger.read.position("payments.charges", 0) is None
    with pytest.raises(StoreLost):
        ledger.store.check(ledger.positions)
    ledger.positions = dict(ledger.open().positions)
    assert ledger.read.balances(SHOP) == []
    ledger.apply(charges=[event(0), event(1, number=2)])
    assert ledger.read.balances(SHOP)[0]["captured"] == 1000
    ledger.close()


def test_a_reader_makes_no_database(tmp_path: Path) -> None:
    """A gateway that is up before its ledger waits for it, and leaves no empty file in its way."""
    read = ReadModel(sqlite_url(tmp_path))
    assert read.position("payments.charges", 0) is None
    with pytest.raises(Unavailable):
        read.charges(SHOP, 1, None)
    assert list(tmp_path.iterdir()) == []
    read.close()


def test_a_restarted_postgresql_is_come_back_to(server: Postgres) -> None:
    """While it is down nothing is applied and nothing answered; afterwards both sides go on."""
    ledger = Booked(server.new_database())
    ledger.apply(charges=[event(0)])
    assert ledger.read.balances(SHOP)[0]["captured"] == 500
    server.stop()
    try:
        with pytest.raises(StoreLost):
            ledger.apply(charges=[event(1)])
        with pytest.raises(Unavailable):
            ledger.read.balances(SHOP)
        assert ledger.read.position("payments.charges", 0) is None
    finally:
        server.start()
    assert ledger.open().positions[ledger.topics["charges"]] == 1
    ledger.apply(charges=[event(1, number=2)])
    assert ledger.read.balances(SHOP)[0]["captured"] == 1000
    ledger.close()


# -- the life of a key -----------------------------------------------------------------------------


def test_a_key_is_in_flight_then_completed_then_expired(ledger: Booked) -> None:
    """From the first command over the answer to the end of the window, in the contract's own words."""
    assert ledger.read.key(SHOP, "k", AT) is None
    ledger.apply(commands=[command(0)])
    life = ledger.key()
    KeyLife.model_validate(life)
    assert (life["state"], life["attempts"], life["executions"], life["status"]) == ("in_flight", 1, 0, None)
    assert (life["operation"], life["command_id"], life["first_seen_at"]) == (
        "charge.create",
        command_id(1),
        AT,
    )
    ledger.apply(charges=[event(0)], keys=[key_record(0), position(1, 2)], commands=[command(1, number=2)])
    life = ledger.key()
    KeyLife.model_validate(life)
    assert (life["state"], life["attempts"], life["executions"]) == ("completed", 2, 1)
    assert (life["status"], life["body"], life["charge_id"]) == (
        201,
        '{"id":"ch"}',
        charge_id(SHOP, command_id(1)),
    )
    assert life["commands"] == [
        {"partition": 0, "offset": 0, "command_id": command_id(1)},
        {"partition": 0, "offset": 1, "command_id": command_id(2)},
    ]
    assert ledger.key(now=AT + TTL_MS - 1)["state"] == "completed"
    life = ledger.key(now=AT + TTL_MS)
    KeyLife.model_validate(life)
    assert (life["state"], life["expires_at"]) == ("expired", AT + TTL_MS)


def test_a_key_record_may_be_read_before_its_command(ledger: Booked) -> None:
    """Topics are read independently: completed already, its attempts still to come."""
    ledger.apply(keys=[key_record(0, command_offset=4)])
    life = ledger.key()
    KeyLife.model_validate(life)
    assert (life["state"], life["attempts"], life["first_seen_at"]) == ("completed", 0, AT)
    ledger.apply(commands=[command(4)])
    assert (ledger.key()["state"], ledger.key()["attempts"]) == ("completed", 1)


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_a_tombstone_expires_a_key_and_leaves_what_it_held(ledger: Booked, in_one_batch: bool) -> None:
    """Expired by its tombstone whatever the clock says; the answer it held can still be looked at."""
    if in_one_batch:
        ledger.apply(keys=[key_record(0), tombstone(1)])
    else:
        ledger.apply(keys=[key_record(0)])
        ledger.apply(keys=[tombstone(1)])
    life = ledger.key()
    KeyLife.model_validate(life)
    assert (life["state"], life["status"], life["command_id"]) == ("expired", 201, command_id(1))


@pytest.mark.parametrize("knows_position", [True, False])
def test_an_expired_key_can_be_used_again(ledger: Booked, knows_position: bool) -> None:
    """The new request is in flight until its own record comes; attempts count over both lives."""
    later = AT + TTL_MS
    reached = [position(2, 1)] if knows_position else []
    ledger.apply(commands=[command(0)], keys=[key_record(0), tombstone(1), *reached])
    assert ledger.key(now=later)["state"] == "expired"
    ledger.apply(commands=[command(7, number=2, at=later)])
    life = ledger.key(now=later)
    KeyLife.model_validate(life)
    assert (life["state"], life["command_id"], life["body"]) == ("in_flight", command_id(2), None)
    ledger.apply(keys=[key_record(3, number=2, command_offset=7, completed_at=later)])
    life = ledger.key(now=later)
    assert (life["state"], life["command_id"], life["attempts"]) == ("completed", command_id(2), 2)


def test_commands_answered_without_being_stored_leave_nothing_in_flight(ledger: Booked) -> None:
    """A command refused as expired is behind the position: its key is free again, not in flight for ever."""
    ledger.apply(commands=[command(0)])
    ledger.apply(keys=[position(0, 0)])
    assert ledger.key()["state"] == "in_flight"
    ledger.apply(keys=[position(1, 1)])
    life = ledger.key()
    KeyLife.model_validate(life)
    assert (life["state"], life["attempts"]) == ("expired", 1)


def test_a_bare_tombstone_is_no_key(ledger: Booked) -> None:
    """When compaction has left only the tombstone and retention no command, nothing is known of the key."""
    ledger.apply(keys=[tombstone(0)])
    assert ledger.read.key(SHOP, "k", AT) is None
    ledger.apply(commands=[command(3)])
    life = ledger.key()
    KeyLife.model_validate(life)
    assert (life["state"], life["status"]) == ("expired", None)


def test_a_hammered_key_shows_its_first_thousand_commands(ledger: Booked) -> None:
    """`commands` is bounded, `attempts` is not."""
    ledger.apply(commands=[command(offset, number=offset) for offset in range(1_200)])
    life = ledger.key()
    assert (life["attempts"], len(life["commands"]), life["commands"][0]["offset"]) == (1_200, 1_000, 0)


def test_keys_are_case_sensitive_and_per_merchant(ledger: Booked) -> None:
    """`k` and `K` are two keys; another merchant's `k` is unknown."""
    ledger.apply(keys=[key_record(0, key="k"), key_record(1, key="a/b ü"[:4])])
    assert ledger.read.key(SHOP, "K", AT) is None
    assert ledger.read.key("other", "k", AT) is None
    assert ledger.key("a/b ")["key"] == "a/b "


def test_unreadable_records_are_skipped_and_passed(ledger: Booked) -> None:
    """Their offsets are applied like others, so nothing waits for them."""
    batch = ledger.apply(
        charges=[event(0, amount=0), event(1)],
        keys=[key_record(0, status=1)],
        commands=[command(0, type="x")],
    )
    assert [skipped.topic for skipped in batch.skipped] == [
        "payments.charges",
        "payments.keys",
        "payments.commands",
    ]
    assert ledger.read.balances(SHOP)[0]["captured"] == 500
    assert ledger.positions == {
        TopicPartition("payments.charges", 0): 2,
        TopicPartition("payments.keys", 0): 1,
        TopicPartition("payments.commands", 0): 1,
    }
