"""Reading records: what the contract promises is read, everything else is one sentence and never a crash."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kafka.port import TopicPartition
from services.ledger.batch import READ, Batch
from services.ledger.records import (
    ExpiredKey,
    Reached,
    Unreadable,
    UsedKey,
    read_charge_event,
    read_command,
    read_key_record,
)
from tests.support import ledger_records as written
from tests.support.ledger_records import Rec

HUGE = 2**63


def test_a_charge_event_is_read_with_its_charge() -> None:
    """The event's members and the whole charge after it, in RFC 8785 form."""
    event = read_charge_event(written.event(7, "captured", amount=300, authorized=500))
    assert (event.offset, event.type, event.amount, event.authorized_amount) == (
        7,
        "charge.captured",
        300,
        500,
    )
    assert json.loads(event.charge)["description"] == "after offset 7"
    assert event.charge.startswith('{"amount":500,')


def test_unknown_members_of_an_envelope_are_tolerated() -> None:
    """A newer writer may say more."""
    assert read_charge_event(written.event(0, more={"a": [1.5]})).amount == 500


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "charge.unheard_of"},
        {"amount": 0},
        {"amount": 1_000_000_000_000},
        {"amount": 1.0},
        {"amount": True},
        {"currency": "EUR"},
        {"data": {}},
        {"event_id": "evt_x"},
        {"sequence": HUGE},
        {"occurred_at": HUGE},
        {"occurred_at": None},
        {"command_id": "nul\0byte"},
    ],
)
def test_an_event_that_breaks_its_promise_is_unreadable(changes: dict[str, object]) -> None:
    """Each broken member is refused before the database could be."""
    with pytest.raises(Unreadable):
        read_charge_event(written.event(0, **changes))  # type: ignore[arg-type]


def test_the_four_kinds_of_records_in_keys() -> None:
    """A held key, an expired one, a position; the record of a command without a key says nothing here."""
    held = read_key_record(written.key_record(1, key="a/b", command_offset=9))
    assert isinstance(held, UsedKey)
    assert (held.idempotency_key, held.command_offset) == ("a/b", 9)
    assert read_key_record(written.tombstone(2, "a/b")) == ExpiredKey("shop", "a/b")
    assert read_key_record(written.position(3, 10, 11)) == Reached(10, 11)
    assert read_key_record(Rec(4, b"@command/shop/" + written.command_id(1).encode(), b"{}")) is None


@pytest.mark.parametrize(
    "record",
    [
        Rec(0, None, b"{}"),
        Rec(0, b"no-slash", None),
        Rec(0, b"\xff\xfe/k", None),
        Rec(0, b"Shop/k", None),
        Rec(0, b"shop/", None),
        Rec(0, b"shop/k\0", None),
        Rec(0, b"@position", None),
        Rec(0, b"@position", b"[]"),
        Rec(0, b"@position", b'{"position":-1,"clock":1,"window_ms":1}'),
        Rec(0, b"shop/k", b"not json"),
        Rec(0, b"shop/other", written.key_record(0).value),
        written.key_record(0, status=99),
        written.key_record(0, status=2**40),
        written.key_record(0, expires_at=HUGE),
        written.key_record(0, fingerprint="short"),
        written.key_record(0, body=None),
    ],
)
def test_a_key_record_that_breaks_its_promise_is_unreadable(record: Rec) -> None:
    """Whatever stands in `keys`, reading it is a value or one sentence."""
    with pytest.raises(Unreadable):
        read_key_record(record)


def test_a_command_is_an_attempt_under_its_key() -> None:
    """The log's timestamp counts, not the sender's."""
    command = read_command(written.command(5, at=42, issued_at=1), 0, 1)
    assert command is not None
    assert (command.offset, command.idempotency_key, command.appended_at) == (5, "k", 42)
    assert len(command.fingerprint) == 64
    assert read_command(written.command(5, key=None), 0, 1) is None


def test_a_dead_letter_is_no_attempt() -> None:
    """A command that the processor will not execute counts under no key."""
    for bad in (
        written.command(0, payload={"amount": 1}),
        Rec(0, b"other", written.command(0).value),
        Rec(0, b"shop", b"\xff"),
        Rec(0, None, None),
    ):
        with pytest.raises(Unreadable):
            read_command(bad, 0, 1)


@given(st.sampled_from(READ), st.none() | st.binary(max_size=40), st.none() | st.binary(max_size=200))
def test_no_bytes_stop_the_ledger(kind: str, key: bytes | None, value: bytes | None) -> None:
    """Any bytes in any topic are booked or skipped."""
    batch = Batch(1)
    batch.add(kind, TopicPartition(kind, 0), [Rec(0, key, value)])
    assert batch.records == 1
    assert len(batch.skipped) <= 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.data(), JSON)
def test_no_member_of_the_wrong_shape_stops_the_ledger(data: st.DataObject, replacement: object) -> None:
    """A real event, key record, position or command with any one member replaced is booked or skipped."""
    kind, record = data.draw(
        st.sampled_from(
            [
                ("charges", written.event(0)),
                ("keys", written.key_record(0)),
                ("keys", written.position(0, 1)),
                ("commands", written.command(0)),
            ]
        )
    )
    value = json.loads(record.value or b"")
    value[data.draw(st.sampled_from(sorted(value)))] = replacement
    batch = Batch(1)
    batch.add(
        kind,
        TopicPartition(kind, 0),
        [record._replace(value=json.dumps(value).encode("utf-8", "surrogatepass"))],
    )
    assert not any("Error" in skipped.reason for skipped in batch.skipped), batch.skipped
