"""The native part says what Python says, whatever stands on the log."""

import gzip
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from events.guarantees import Guarantee
from events.identifiers import charge_id
from events.instants import rfc3339
from events.partitioner import partition_of
from events.payment_methods import PAYMENT_METHODS
from services.kafka.batches import BATCH_BYTES_MAX, batches
from services.kafka.packed import Packed
from services.kafka.port import Outgoing
from services.native import native
from services.processor.domain.declared import declarations
from services.processor.domain.natively import read
from services.processor.domain.settling import Rules, Standing, decode, lookups, settle
from tests.support.native import assert_settled_alike, natively, plain

RULES = Rules("payments", 0, 1, 1_000, Guarantee.EXACTLY_ONCE)


class Read(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def command_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


TEXTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["", "é", "€", "😀", '"', "\\", "\n", "\x7f", "\0", " ", "x" * 300])
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
GOOD_PAYLOADS = st.fixed_dictionaries(
    {
        "amount": st.sampled_from([1, 5, 999_999_999_999]),
        "currency": st.sampled_from(["eur", "usd"]),
        "payment_method": st.sampled_from(["pm_card_visa", "pm_card_expired"]),
    },
    optional={
        "capture": st.sampled_from([None, True, False]),
        "description": st.one_of(st.none(), TEXTS),
        "metadata": st.one_of(st.none(), st.dictionaries(TEXTS, TEXTS, max_size=4)),
    },
)
ABOUT = st.fixed_dictionaries(
    {"charge_id": st.sampled_from(["ch_" + "0" * 32, "", "é", '"'])},
    optional={"amount": st.sampled_from([None, 0, 1, 10**12])},
)
PAYLOADS = st.one_of(
    GOOD_PAYLOADS,
    GOOD_PAYLOADS,
    ABOUT,
    st.dictionaries(st.sampled_from(["amount", "currency", "payment_method", "charge_id", "metadata"]), JSON),
)
COMMANDS = st.fixed_dictionaries(
    {
        "command_id": st.sampled_from([command_id(one) for one in range(6)]),
        "type": st.sampled_from(["charge.create", "charge.create", "charge.capture", "charge.void", "refund.create"]),
        "merchant_id": st.sampled_from(["m1", "m1", "m2", "M", "x" * 64]),
        "idempotency_key": st.sampled_from(["a", "b", None, "x" * 255, 'quo"te', "ta\tb", ""]),
        "issued_at": st.sampled_from([0, 5]),
        "deadline_at": st.sampled_from([0, 10_000, 10**15 - 1, 10**15]),
        "payload": PAYLOADS,
    },
    optional={"more": JSON},
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["reply_to", "traceparent", "other", "é"]),
        st.sampled_from([b"", b"payments.replies/0", b"x" * 600, None]),
    ),
    max_size=3,
).map(tuple)


def compact(command: dict[str, Any]) -> bytes:
    return orjson.dumps(command, default=str, option=orjson.OPT_NON_STR_KEYS)


def with_spaces(command: dict[str, Any]) -> bytes:
    return orjson.dumps(command, option=orjson.OPT_INDENT_2)


def twice(command: dict[str, Any]) -> bytes:
    written = orjson.dumps(command)
    return written[:-1] + b',"merchant_id":"m1"}'


def wild(number: Any) -> Any:
    """Integers that orjson does not write."""
    if isinstance(number, int) and not isinstance(number, bool) and not -(2**63) <= number < 2**64:
        return str(number)
    if isinstance(number, dict):
        return {name: wild(value) for name, value in number.items()}
    return [wild(one) for one in number] if isinstance(number, list) else number


@st.composite
def values(draw: st.DrawFn) -> bytes:
    command = wild(draw(COMMANDS))
    if draw(st.integers(0, 9)) == 0:
        command.pop(draw(st.sampled_from(sorted(command))))
    written = draw(st.sampled_from([compact, compact, compact, compact, with_spaces, twice]))(command)
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(written) - 1))
        written = written[:at] + draw(st.binary(max_size=2)) + written[at + 1 :]
    return written


@st.composite
def logs(draw: st.DrawFn) -> list[Read]:
    found = []
    for offset in range(draw(st.integers(1, 8))):
        value = draw(values())
        key = b"m1"
        for one in (b"m2", b"x" * 64, b"M"):
            if b'"' + one + b'"' in value:
                key = one
        record_key = draw(st.sampled_from([key] * 8 + [b"m1", None]))
        timestamp = draw(st.sampled_from([1_000, 5_000, 20_000, 253_402_300_799_999]))
        found.append(Read(offset, timestamp, record_key, draw(st.sampled_from([value] * 9 + [None])), draw(HEADERS)))
    return found


def make(partitions: int = 1, guarantee: Guarantee = Guarantee.EXACTLY_ONCE) -> Rules:
    return RULES._replace(partitions=partitions, guarantee=guarantee)


@given(
    log=logs(),
    position=st.sampled_from([0, 0, 3]),
    partitions=st.sampled_from([1, 1, 2]),
    guarantee=st.sampled_from(list(Guarantee)),
)
@settings(max_examples=400, deadline=None)
def test_whatever_is_on_the_log(log: list[Read], position: int, partitions: int, guarantee: Guarantee) -> None:
    """Usual, unusual and broken commands come to the same records, also after others and when read again."""
    rules = make(partitions, guarantee)
    standing, store = Standing(position, 0), dict[bytes, bytes | None]()
    for batch in (log[: len(log) // 2], log[len(log) // 2 :], log[:2]):
        incoming = decode(rules, batch)
        found = {key: store[key] for key in lookups(rules, incoming) if key in store}
        settled = settle(rules, standing, incoming, found)
        assert_settled_alike(settled, natively(rules, standing, batch, store))
        standing = settled.standing
        store.update(settled.writes)


@given(log=logs())
@settings(max_examples=100, deadline=None)
def test_what_is_asked_of_the_store(log: list[Read]) -> None:
    """The same keys are looked up, in whatever order."""
    assert sorted(read(RULES, log).wanted) == sorted(lookups(RULES, decode(RULES, log)))


PLAIN: dict[str, Any] = {
    "command_id": "00000000-0000-7000-8000-000000000000",
    "type": "charge.create",
    "merchant_id": "m1",
    "idempotency_key": "order 7",
    "issued_at": 0,
    "deadline_at": 10_000,
    "payload": {"amount": 5, "currency": "eur", "payment_method": "pm_card_visa", "description": "Café"},
}


def test_what_is_usual_is_settled_natively() -> None:
    """A plain creation is not left to Python: otherwise all of this would be true, and slow."""
    about = {"charge_id": "ch_" + "0" * 32, "amount": None}
    log = [
        Read(0, 1, b"m1", orjson.dumps(PLAIN)),
        Read(1, 1, b"m1", orjson.dumps(PLAIN)),
        Read(2, 1, b"m1", orjson.dumps({**PLAIN, "type": "refund.create", "payload": about})),
    ]
    assert list(read(RULES, log).unusual) == []


@pytest.mark.parametrize("more", [0, 1, 16, 17, 400])
@pytest.mark.parametrize("is_first", [True, False])
def test_members_that_nobody_expects(more: int, is_first: bool) -> None:
    """Any number of other members, wherever they stand: the same records; one name twice is a bad command."""
    others: dict[str, Any] = {f"more{number}": [number] for number in range(more)}
    value = orjson.dumps({**others, **PLAIN} if is_first else {**PLAIN, **others})
    for one in (value, value[:-1] + b',"more0":1}'):
        batch = [Read(0, 1, b"m1", one)]
        settled = settle(RULES, Standing(0, 0), decode(RULES, batch), {})
        assert settled.executed == (one == value or more == 0)
        assert_settled_alike(settled, natively(RULES, Standing(0, 0), batch, {}))


@given(
    description=st.one_of(st.none(), TEXTS, st.text(alphabet='"\\abcé\n', max_size=40)),
    metadata=st.dictionaries(st.text(max_size=9), st.text(alphabet='"\\x', max_size=20), max_size=5),
    method=st.sampled_from(sorted(PAYMENT_METHODS)),
    about=st.lists(
        st.tuples(
            st.sampled_from(["charge.capture", "charge.void", "refund.create"]),
            st.sampled_from([{}, {"amount": 1}, {"amount": 30}, {"amount": 101}, {"amount": None}]),
        ),
        max_size=4,
    ),
    capture=st.booleans(),
    once=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_what_happens_to_one_charge(
    description: str | None,
    metadata: dict[str, str],
    method: str,
    about: list[tuple[str, dict[str, Any]]],
    capture: bool,
    once: bool,
) -> None:
    """Its text is carried on and answered alike, whatever a person typed, also where Python made the charge."""
    rules = make(guarantee=Guarantee.EXACTLY_ONCE if once else Guarantee.DEDUPLICATED)
    command = {
        "command_id": command_id(0),
        "type": "charge.create",
        "merchant_id": "m1",
        "idempotency_key": "0",
        "issued_at": 0,
        "deadline_at": 10_000,
        "payload": {
            "amount": 100,
            "currency": "eur",
            "payment_method": method,
            "capture": capture,
            "description": description,
            "metadata": metadata,
        },
    }
    log = [Read(0, 1_000, b"m1", orjson.dumps(command))]
    for at, (name, asked) in enumerate(about, 1):
        more = {
            "command_id": command_id(at),
            "type": name,
            "idempotency_key": str(at),
            "payload": {"charge_id": charge_id("m1", command_id(0)), **asked},
        }
        log.append(Read(at, 1_000, b"m1", orjson.dumps({**command, **more})))
    incoming = decode(rules, log)
    assert_settled_alike(settle(rules, Standing(0, 0), incoming, {}), natively(rules, Standing(0, 0), log, {}))


@pytest.mark.parametrize("length", range(40))
def test_an_answer_is_quoted_wherever_its_quotes_stand(length: int) -> None:
    """Eight bytes are looked at together: quotes are found at each place among them, and so is a text's end."""
    command = {
        "command_id": command_id(0),
        "type": "charge.create",
        "merchant_id": "m1",
        "idempotency_key": None,
        "issued_at": 0,
        "deadline_at": 10_000,
        "payload": {
            "amount": 5,
            "currency": "eur",
            "payment_method": "pm_card_visa",
            "description": "é!#[]\x7f"[: length % 7] + "x" * length,
            "metadata": {"": "", "a" * length: "€" * length},
        },
    }
    log = [Read(0, 1, b"m1", orjson.dumps(command))]
    assert list(read(RULES, log).unusual) == []
    settled = natively(RULES, Standing(0, 0), log, {})
    assert_settled_alike(settle(RULES, Standing(0, 0), decode(RULES, log), {}), settled)
    assert settled.replies[0].value is not None
    assert orjson.loads(settled.replies[0].value)["body"].encode() in settled.charges[0].value


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.binary(max_size=9)), st.one_of(st.none(), st.binary(max_size=300)), HEADERS),
        min_size=1,
        max_size=80,
    ),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_batches_are_what_the_other_builder_makes(records: list[Any], transactional: bool) -> None:
    """Packed records come to the same bytes as tuples do, and back to the same tuples."""
    tuples = [Outgoing(*record) for record in records]
    packed = Packed()
    packed.extend(tuples[: len(tuples) // 2])
    rest = Packed()
    for one in tuples[len(tuples) // 2 :]:
        rest.append(one)
    packed.extend(rest)
    assert plain(packed) == plain(tuples)
    assert plain(packed[1:-1]) == plain(tuples[1:-1])
    options: Any = {"producer_id": 2**40, "epoch": 7, "sequence": 2**31 - 2, "transactional": transactional}
    made = list(batches(packed, timestamp_ms=1_790_000_000_000, **options))
    assert made == list(batches(tuples, timestamp_ms=1_790_000_000_000, **options))


@pytest.mark.parametrize("length", [300, 40_000, BATCH_BYTES_MAX - 100, BATCH_BYTES_MAX + 10_000])
def test_batches_are_cut_at_the_same_length(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch is longer than it may be, and none of them is cut earlier than it must be."""
    monkeypatch.setattr(gzip, "time", SimpleNamespace(time=lambda: 0.0))  # it writes down when it compressed
    tuples = [Outgoing(b"k", bytes([number]) * length) for number in range(200 if length < 100_000 else 3)]
    packed = Packed()
    packed.extend(tuples)
    options: Any = {"producer_id": 1, "epoch": 0, "sequence": 0, "transactional": True, "timestamp_ms": 5}
    assert list(batches(packed, **options)) == list(batches(tuples, **options))


@given(st.binary(max_size=30), st.integers(1, 64))
@example(b"m1", 1)
@settings(deadline=None)
def test_merchants_belong_where_they_do(name: bytes, partitions: int) -> None:
    """A command in the partition of its merchant is usual, in every other it is not."""
    merchant = name.hex() or "m"
    command = {
        "command_id": "00000000-0000-7000-8000-000000000000",
        "type": "charge.create",
        "merchant_id": merchant,
        "idempotency_key": None,
        "issued_at": 0,
        "deadline_at": 10_000,
        "payload": {"amount": 5, "currency": "eur", "payment_method": "pm_card_visa"},
    }
    record = Read(0, 1, merchant.encode(), orjson.dumps(command))
    home = partition_of(merchant.encode(), partitions)
    for partition in range(partitions):
        rules = RULES._replace(partition=partition, partitions=partitions)
        assert bool(read(rules, [record]).unusual) == (partition != home)


@given(st.integers(0, 253_402_300_799_999))
@example(951_782_400_000)
@example(951_868_799_999)
@example(4_107_542_399_999)
@settings(deadline=None)
def test_instants_are_written_alike(instant_ms: int) -> None:
    """Of every day of the calendar: the time that a charge event carries."""
    command = {
        "command_id": "00000000-0000-7000-8000-000000000000",
        "type": "charge.create",
        "merchant_id": "m1",
        "idempotency_key": None,
        "issued_at": 0,
        "deadline_at": 10**15 - 1,
        "payload": {"amount": 5, "currency": "eur", "payment_method": "pm_card_visa"},
    }
    settled = natively(RULES, Standing(0, 0), [Read(0, instant_ms, b"m1", orjson.dumps(command))], {})
    assert dict(settled.charges[0].headers)["ce_time"] == rfc3339(instant_ms).encode()


def test_every_declaration_is_known() -> None:
    """An operation or event that the native part has no word for would be settled in Python, in silence."""
    text = declarations()
    assert text is not None
    assert native is not None
    native.Declarations(text)


def test_everything_works_without_it() -> None:
    """Where it was not built, a processor settles in Python: the same records."""
    told = """
import sys
sys.modules["services._native"] = None
import services.processor.main
from services.kafka.batches import batches
from services.kafka.port import Outgoing
from services.native import native
from services.processor.domain.natively import settles
from services.processor.domain.settling import Rules
from events.guarantees import Guarantee
from events.identifiers import charge_id
assert native is None
assert not settles(Rules("payments", 0, 1, 1_000, Guarantee.EXACTLY_ONCE))
(batch,) = batches(
    [Outgoing(b"k", b"v")], producer_id=1, epoch=0, sequence=0, transactional=True, timestamp_ms=5
)
print(batch.records)
"""
    assert subprocess.check_output([sys.executable, "-c", told], text=True) == "1\n"
