"""The native part beside the Python that says the same."""

from collections.abc import Mapping, Sequence

from services.kafka.port import Outgoing, Record
from services.native import native
from services.processor.domain.natively import read, settle_read, settles
from services.processor.domain.settling import Rules, Settled, Standing


def natively(
    rules: Rules, standing: Standing, records: Sequence[Record], store: Mapping[bytes, bytes | None]
) -> Settled:
    """What the native part makes of them, asking the store for what it wants to know."""
    assert native is not None, "services/_native was not built: `make setup` says why"
    assert settles(rules)
    portion = read(rules, records)
    found = {key: store[key] for key in portion.wanted if store.get(key) is not None}
    return settle_read(rules, standing, portion, found)


def plain(records: Sequence[Outgoing]) -> list[tuple[object, ...]]:
    return [(record.key, record.value, tuple(record.headers)) for record in records]


def assert_settled_alike(one: Settled, other: Settled) -> None:
    """Record for record and write for write, byte for byte."""
    for name in ("keys", "charges", "replies", "dead_letters"):
        assert plain(getattr(one, name)) == plain(getattr(other, name)), name
    for name in ("writes", "standing", "executed", "replayed", "refused", "expired", "dead"):
        assert getattr(one, name) == getattr(other, name), name
