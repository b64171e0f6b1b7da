"""Lines for people: money, events, the life of a key as the log alone tells it."""

import json
from typing import Any, NamedTuple

import pytest

from simulator.commands.charge_events import event_line
from simulator.commands.key_life import lives_from_log
from simulator.money_text import money_text


class Record(NamedTuple):
    """The members of aiokafka's ConsumerRecord that are read."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def record(key: str, value: dict[str, Any] | None, offset: int = 0, timestamp: int = 1_000) -> Any:
    return Record(0, offset, timestamp, key.encode(), None if value is None else json.dumps(value).encode())


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123_450, "usd", "1,234.50 USD"),
        (5, "eur", "0.05 EUR"),
        (1234, "jpy", "1,234 JPY"),
        (1234, "kwd", "1.234 KWD"),
        (-250, "gbp", "-2.50 GBP"),
        (999_999_999_999, "usd", "9,999,999,999.99 USD"),
    ],
)
def test_money_has_the_digits_of_its_currency(amount: int, currency: str, text: str) -> None:
    """Minor units become the text that people know, without a float."""
    assert money_text(amount, currency) == text


EVENT = {
    "event_id": "evt_1",
    "type": "charge.succeeded",
    "charge_id": "ch_1",
    "merchant_id": "merchant_1",
    "amount": 1250,
    "currency": "eur",
    "sequence": 1,
    "occurred_at": 1_767_323_045_678,
}


def test_an_event_is_one_line_with_its_money() -> None:
    """When, what, how much, whose, and where on the log."""
    line = event_line(record("ch_1", EVENT, offset=7), as_json=False)
    assert line == ("2026-01-02T03:04:05.678Z  charge.succeeded         12.50 EUR  merchant_1  ch_1 #1  0@7")


def test_an_event_as_json_is_the_event_and_its_place() -> None:
    """--json adds partition and offset to the event as it stands on the log."""
    assert json.loads(event_line(record("ch_1", EVENT, offset=7), as_json=True)) == {
        "partition": 0,
        "offset": 7,
        **EVENT,
    }


def test_what_is_no_event_is_told_and_not_thrown() -> None:
    """Somebody may have appended anything; the line says where."""
    garbage: Any = Record(2, 9, 0, b"x", b"\xff")
    assert event_line(garbage, as_json=False) == "partition 2 offset 9: not a charge event"


COMMAND = {"command_id": "c1", "type": "charge.create", "merchant_id": "m", "idempotency_key": "k"}
KEPT = {
    "merchant_id": "m",
    "idempotency_key": "k",
    "operation": "charge.create",
    "fingerprint": "f",
    "status": 201,
    "body": "{}",
    "charge_id": "ch_1",
    "event_id": "evt_1",
    "command_id": "c1",
    "offset": 3,
    "completed_at": 1_000,
    "expires_at": 2_000,
}


def test_a_key_with_commands_and_no_record_is_in_flight() -> None:
    """Two attempts of one merchant; another merchant's key of the same name is another life."""
    commands = [record("m", COMMAND, 3, 900), record("m", COMMAND | {"command_id": "c2"}, 4, 950)]
    commands.append(record("n", COMMAND | {"merchant_id": "n"}, 5, 960))
    lives = lives_from_log("k", [], commands)
    assert set(lives) == {"m", "n"}
    assert (lives["m"]["state"], lives["m"]["attempts"], lives["m"]["first_seen_at"]) == ("in_flight", 2, 900)


@pytest.mark.parametrize(("clock", "state"), [(1_999, "completed"), (2_000, "expired")])
def test_a_key_is_completed_until_the_clock_reaches_its_end(clock: int, state: str) -> None:
    """The partition's clock decides, not ours."""
    keys = [record("m/k", KEPT), record("@position", {"position": 4, "clock": clock, "window_ms": 1_000})]
    life = lives_from_log("k", keys, [record("m", COMMAND, 3, 900)])["m"]
    assert (life["state"], life["status"], life["command_id"], life["expires_at"]) == (state, 201, "c1", 2_000)


def test_a_tombstone_expires_a_key() -> None:
    """The last record under the key decides."""
    keys = [record("m/k", KEPT), record("m/k", None)]
    assert lives_from_log("k", keys, [record("m", COMMAND)])["m"]["state"] == "expired"


def test_a_key_with_a_slash_is_found() -> None:
    """A key may contain any printable character; only the first slash divides."""
    assert lives_from_log("a/b", [record("m/a/b", KEPT | {"idempotency_key": "a/b"})], [])["m"]["status"] == 201
