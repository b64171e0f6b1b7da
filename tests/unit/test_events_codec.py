"""Records of `commands`: whatever bytes stand there, there is an answer."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.codec import ReceivedCommand, Rejected, decode_command
from events.fingerprint import fingerprint
from events.partitioner import partition_of

COMMAND_ID = "01a20c17-c772-7a51-96ed-3a1ac19ef342"
PARTITION = partition_of(b"m1", 4)


def value(**changes: Any) -> dict[str, Any]:
    command = {
        "command_id": COMMAND_ID,
        "type": "charge.create",
        "merchant_id": "m1",
        "idempotency_key": "k",
        "issued_at": 1,
        "deadline_at": 2,
        "payload": {"amount": 5, "currency": "usd", "payment_method": "pm_card_visa"},
    }
    return {**command, **changes}


def decoded(raw: bytes | None, key: bytes | None = b"m1", partition: int = PARTITION) -> ReceivedCommand | Rejected:
    return decode_command(7, 8, key, raw, (), partition, 4)


def test_a_command_is_read_with_its_fingerprint_and_its_key() -> None:
    """Unknown members of the envelope are tolerated."""
    command = decoded(orjson.dumps(value(unknown=1)))
    assert isinstance(command, ReceivedCommand)
    assert (b"m1/k", fingerprint("charge.create", value()["payload"])) == (command.key, command.fingerprint)


def test_a_command_without_a_key_goes_by_its_id() -> None:
    """Its record key in `keys` is one that no merchant can have."""
    command = decoded(orjson.dumps(value(idempotency_key=None)))
    assert isinstance(command, ReceivedCommand)
    assert f"@command/m1/{COMMAND_ID}".encode() == command.key


@pytest.mark.parametrize(
    ("raw", "key", "partition"),
    [
        (orjson.dumps(value()), b"m2", PARTITION),
        (orjson.dumps(value()), None, PARTITION),
        (orjson.dumps(value()), b"m1", (PARTITION + 1) % 4),
        (orjson.dumps(value(merchant_id="M1")), b"M1", PARTITION),
        (None, b"m1", PARTITION),
        (b"\xff", b"m1", PARTITION),
        (b"[]", b"m1", PARTITION),
        (orjson.dumps(value(padding="x" * 65_536)), b"m1", PARTITION),
        (orjson.dumps(value(command_id="5")), b"m1", PARTITION),
    ],
)
def test_what_is_misplaced_or_unreadable_is_answered_to_nobody(raw: bytes, key: bytes, partition: int) -> None:
    """A wrong partition, a wrong record key, no JSON, no command_id: a dead letter without a reply."""
    rejected = decoded(raw, key, partition)
    assert isinstance(rejected, Rejected)
    assert rejected.command_id is None


@pytest.mark.parametrize(
    "raw",
    [
        orjson.dumps(value(type="charge.explode")),
        orjson.dumps(value(idempotency_key="")),
        orjson.dumps(value(idempotency_key="é")),
        orjson.dumps(value(issued_at="1")),
        orjson.dumps(value(deadline_at=True)),
        orjson.dumps(value(payload=None)),
        orjson.dumps(value(payload={"amount": 1.0, "currency": "usd", "payment_method": "pm_card_visa"})),
        orjson.dumps(value()).replace(b'"amount":5', b'"amount":5,"amount":6'),
        orjson.dumps(value()).replace(b"pm_card_visa", b"\\u0000"),
        orjson.dumps({k: v for k, v in value().items() if k != "idempotency_key"}),
        orjson.dumps(value()).replace(b'"amount":5', b'"amount":NaN'),
        orjson.dumps(value()).replace(b"pm_card_visa", b"\\ud800"),
    ],
)
def test_a_readable_command_that_breaks_a_rule_is_answered_400(raw: bytes) -> None:
    """The same 400 as over HTTP, to whoever minted the id."""
    rejected = decoded(raw)
    assert isinstance(rejected, Rejected)
    assert (rejected.command_id, rejected.merchant_id) == (COMMAND_ID, "m1")
    assert rejected.detail.endswith(".")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'"amount":5', b'"amount":5,"amount":6', "invalid_json"),
        (b"pm_card_visa", b"\\u0000", "invalid_json"),
        (b'"amount":5', b'"amount":NaN', "invalid_json"),
        (b"pm_card_visa", b"\\ud800", "invalid_json"),
        (b'"amount":5', b'"amount":5.0', "invalid_request"),
        (b"pm_card_visa", b"pm_card_gold", "invalid_request"),
    ],
)
def test_the_400_on_the_log_has_the_code_of_the_one_over_http(old: bytes, new: bytes, code: str) -> None:
    """What is no strict JSON is told apart from JSON that breaks a rule."""
    rejected = decoded(orjson.dumps(value()).replace(old, new))
    assert isinstance(rejected, Rejected)
    assert rejected.code == code


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(0, 9), st.lists).map(orjson.dumps))
def test_no_bytes_raise(raw: bytes) -> None:
    """Whatever stands on the log is a command or a rejection."""
    assert isinstance(decoded(raw), ReceivedCommand | Rejected)
