"""What the key store is made of again from the log: the quick way of reading an event says what its JSON says."""

from typing import NamedTuple

import orjson
from hypothesis import given
from hypothesis import strategies as st

from events.charge_events import CHARGE_EVENTS
from events.identifiers import command_key, event_id, key_name
from services.kafka.port import Headers
from services.native import native
from services.processor.domain.stored import (
    executed_under,
    of_event,
    of_events,
    of_events_in_python,
    of_first,
    of_key,
    of_newest,
    of_records,
)

COMMAND = "01890000-0000-7000-8000-000000000001"
CHARGE = "ch_" + "0" * 32
NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40)


class Read(NamedTuple):
    key: bytes | None
    value: bytes | None
    offset: int = 0
    timestamp: int = 0
    headers: Headers = ()


def event(merchant: str, key: str | None, kind: str = "charge.succeeded", **more: object) -> bytes:
    return orjson.dumps(
        {
            "event_id": event_id(merchant, COMMAND),
            "type": kind,
            "charge_id": CHARGE,
            "merchant_id": merchant,
            "amount": 500,
            "currency": "eur",
            "sequence": 1,
            "occurred_at": 1_700_000_000_000,
            "command_id": COMMAND,
            "idempotency_key": key,
            "data": {"charge": {"id": CHARGE, "metadata": {"merchant_id": "another", "idempotency_key": "other"}}},
        }
        | more
    )


@given(
    merchant=st.from_regex(r"[a-z0-9_]{1,64}", fullmatch=True),
    key=st.one_of(st.none(), NAMES, st.sampled_from(['"', "\\", '","data":{', "a\\", "/"])),
    kind=st.sampled_from([one.name for one in CHARGE_EVENTS]),
    sequence=st.sampled_from([1, 2, 3]),
    once=st.booleans(),
)
def test_an_event_says_which_key_it_was_executed_under(
    merchant: str, key: str | None, kind: str, sequence: int, once: bool
) -> None:
    """Whatever characters the key has, and without one it is the command's; a first event says it itself."""
    value = event(merchant, key, kind, sequence=sequence)
    under = (command_key(merchant, COMMAND) if key is None else key_name(merchant, key)).encode()
    records = [Read(CHARGE.encode(), value)]
    later = {of_newest(CHARGE): value, of_event(event_id(merchant, COMMAND)): under}
    first = {of_first(CHARGE): value} | ({} if once else {of_newest(CHARGE): None})
    assert of_events(records, once=once) == (later if sequence > 1 else first)
    assert of_events_in_python(records, once=once) == of_events(records, once=once)
    assert executed_under(value) == under


def test_a_usual_event_is_read_natively() -> None:
    """Otherwise a rebuild would be right, and slow."""
    assert native is not None
    for key in ("k", None):
        assert native.restored_events([Read(CHARGE.encode(), event("shop", key))], True) is not None


@given(st.permutations(list(orjson.loads(event("shop", "k")))), st.booleans())
def test_the_form_of_an_event_does_not_matter(names: list[str], spaced: bool) -> None:
    """Members in another order, or with white space between them, say the same."""
    found = orjson.loads(event("shop", "k", sequence=2))
    value = orjson.dumps({name: found[name] for name in names}, option=orjson.OPT_INDENT_2 if spaced else None)
    writes = of_events([Read(CHARGE.encode(), value)], once=True)
    assert writes == {of_newest(CHARGE): value, of_event(found["event_id"]): b"shop/k"}


def test_the_newest_of_one_key_counts() -> None:
    """A later record of the same key takes the place of an earlier one; a tombstone forgets it."""
    records = [Read(b"a", b"1"), Read(b"b", b"2"), Read(b"a", b"3"), Read(b"b", None), Read(None, b"4")]
    assert of_records(records) == {of_key(b"a"): b"3", of_key(b"b"): None}


def test_charges_are_never_forgotten() -> None:
    """A record of `charges` without a key or a value stands for nothing."""
    assert of_events([Read(None, event("shop", "k")), Read(CHARGE.encode(), None)], once=True) == {}
