"""Names, partitions, money and codes."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events.breaks import BREAKS
from events.codes import CODES, DECLINES, NOT_STORED, problem, problem_body
from events.commands import InvalidPayload, validate_payload
from events.connection import InvalidConnection, connection
from events.identifiers import charge_id, event_id, is_command_id, refund_id
from events.instants import rfc3339
from events.operations import BY_NAME
from events.options import InvalidOption, duration_ms, host_and_port, refuse_unknown_environment
from events.partitioner import murmur2, partition_of
from events.payment_methods import PAYMENT_METHODS

CHARGE = {"amount": 5, "currency": "usd", "payment_method": "pm_card_visa"}


@given(st.binary(max_size=80), st.integers(1, 64))
def test_the_partition_is_java_kafka_s(key: bytes, partitions: int) -> None:
    """aiokafka's murmur2 is the reference: it was compared with Java's (docs: research of the partitioners)."""
    assert reference(key) & 0xFFFFFFFF == murmur2(key)
    assert (reference(key) & 0x7FFFFFFF) % partitions == partition_of(key, partitions)


@pytest.mark.parametrize(
    ("key", "hashed"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)],
)
def test_the_hash_agrees_with_kafka_s_own_test_values(key: bytes, hashed: int) -> None:
    """Values of apache/kafka UtilsTest.testMurmur2."""
    assert hashed & 0xFFFFFFFF == murmur2(key)


def test_ids_are_derived_as_the_contract_says() -> None:
    """`ch_`, `evt_`, `re_` and 32 hex digits of SHA-256 over prefix NUL merchant NUL command."""
    for prefix, made in (("evt", event_id("m", "c")), ("ch", charge_id("m", "c")), ("re", refund_id("m", "c"))):
        assert f"{prefix}_{hashlib.sha256(f'{prefix}{chr(0)}m{chr(0)}c'.encode()).hexdigest()[:32]}" == made


def test_command_ids_are_uuids_in_lower_case() -> None:
    """Anything else cannot be a record key that somebody waits for."""
    assert is_command_id("01a20c17-c772-7a51-96ed-3a1ac19ef342")
    for wrong in ("01A20C17-C772-7A51-96ED-3A1AC19EF342", "01a20c17c7727a5196ed3a1ac19ef342", "x", "", "\n"):
        assert not is_command_id(wrong)


@pytest.mark.parametrize("amount", [0, -1, 1_000_000_000_000, True, "100", 1.0, None, [], 10**30])
def test_only_an_integer_of_minor_units_is_an_amount(amount: object) -> None:
    """1 to 999,999,999,999; no booleans, texts, floats or null."""
    with pytest.raises(InvalidPayload, match="amount"):
        validate_payload("charge.create", {**CHARGE, "amount": amount})


@pytest.mark.parametrize("currency", ["USD", "xau", "xts", "xxx", "usdx", "", None, 840])
def test_only_active_currencies_in_lower_case_are_money(currency: object) -> None:
    """Metals, tests and upper case are refused; the four X codes of real money are not."""
    with pytest.raises(InvalidPayload, match="currency"):
        validate_payload("charge.create", {**CHARGE, "currency": currency})
    for known in ("usd", "jpy", "kwd", "xaf", "xcd", "xof", "xpf"):
        validate_payload("charge.create", {**CHARGE, "currency": known})


def test_null_means_absent_for_optional_members_only() -> None:
    """`capture`, `description`, `metadata` and the amount of a capture or refund may be null."""
    validate_payload("charge.create", {**CHARGE, "capture": None, "description": None, "metadata": None})
    validate_payload("charge.capture", {"charge_id": "x", "amount": None})
    validate_payload("refund.create", {"charge_id": "x"})


@pytest.mark.parametrize(
    "more",
    [
        {"extra": 1},
        {"capture": 1},
        {"capture": "true"},
        {"description": 5},
        {"metadata": {"a": 1}},
        {"metadata": {"a": None}},
        {"metadata": []},
        {"metadata": {str(i): "" for i in range(51)}},
        {"payment_method": "pm_card_unknown"},
    ],
)
def test_what_is_not_meant_is_refused_with_a_sentence(more: dict[str, object]) -> None:
    """Unknown members and other types name the member."""
    with pytest.raises(InvalidPayload, match=next(iter(more))):
        validate_payload("charge.create", {**CHARGE, **more})


_MEMBERS = st.sampled_from(
    sorted({member for operation in BY_NAME.values() for member in operation.payload.model_fields} | {"more"})
)
_VALUES = st.sampled_from([5, 0, True, None, "eur", "pm_card_visa", "x", {}, {"a": "b"}, {"a": 1}, [], 1.5, 10**12])


@given(st.sampled_from(sorted(BY_NAME)), st.dictionaries(_MEMBERS, _VALUES), st.booleans())
def test_a_payload_is_valid_exactly_when_its_model_says_so(
    operation: str, payload: dict[str, Any], likely: bool
) -> None:
    """The quick question, which makes no model, and the model's own answer never part."""
    if likely:
        payload = {**CHARGE, **payload} if BY_NAME[operation].begins else {"charge_id": "x", **payload}
    try:
        BY_NAME[operation].payload.model_validate(payload)
    except ValidationError:
        with pytest.raises(InvalidPayload):
            validate_payload(operation, payload)
    else:
        validate_payload(operation, payload)


def test_every_code_makes_a_problem() -> None:
    """Status and code stand in the body; what is not stored is a code; every decline has a text."""
    for code, known in CODES.items():
        made = problem(code)
        assert (known.status, code) == (made["status"], made["code"])
        assert problem_body(code).startswith('{"code":')
    assert set(CODES) >= NOT_STORED
    assert {decline for decline in PAYMENT_METHODS.values() if decline} == set(DECLINES)


def test_instants_are_written_with_milliseconds() -> None:
    """RFC 3339, UTC, as CloudEvents wants it."""
    assert rfc3339(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"


def test_options_say_what_is_wrong() -> None:
    """Durations, addresses and unknown variables are refused in one sentence."""
    assert [duration_ms(t) for t in ("5ms", "20s", "2m", "24h", "7d")] == [5, 20_000, 120_000, 86_400_000, 604_800_000]
    assert host_and_port("[::1]:80") == ("::1", 80)
    for wrong in ("", "5", "0s", "-1s", "1.5s", "5 s"):
        with pytest.raises(InvalidOption, match="duration"):
            duration_ms(wrong)
    with pytest.raises(InvalidOption, match="did you mean PAYONCE_NAMESPACE"):
        refuse_unknown_environment(["PAYONCE_NAMESPCE"])


def test_connections_say_what_is_wrong() -> None:
    """A wrong address, an unknown setting and SASL without a password are one sentence each."""
    assert connection("a:1,b:2").bootstrap_servers == ("a:1", "b:2")
    with pytest.raises(InvalidConnection, match="HOST:PORT"):
        connection("nowhere")
    with pytest.raises(InvalidConnection, match="Line 1"):
        connection("a:1", "ssl.nonsense=1")
    with pytest.raises(InvalidConnection, match="SASL needs"):
        connection("a:1", "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nsasl.username=x")
    with pytest.raises(InvalidConnection, match="protocol"):
        connection("a:1", "security.protocol=NOPE")


def test_every_bug_names_an_anomaly_that_the_auditor_finds() -> None:
    """A bug whose anomaly nobody looks for could never be convicted."""
    anomalies = {path.stem for path in (Path(__file__).parents[2] / "simulator" / "audit").glob("*.py")}
    assert anomalies >= set(BREAKS.values())
