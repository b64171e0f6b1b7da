"""Settling by the native part: what is usual there, and every record that is not in Python, in log order.

In:      as `decode` and `settle` of services.processor.domain.settling, which say what must come out, byte for byte.
Out:     the same, records packed.
Errors:  those of Python's way; the native part raises RuntimeError where it has a bug, and one record at a time is
         settled in Python then (services.processor.poison).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from events.guarantees import Guarantee
from services.kafka.packed import Packed
from services.kafka.port import Record
from services.native import native
from services.processor.domain.declared import declarations
from services.processor.domain.settling import Incoming, Rules, Settled, Standing, decode, lookups, settle

if TYPE_CHECKING:
    from services._native import Commands, Declarations


class Read(NamedTuple):
    """A portion of `commands`, decoded."""

    records: Sequence[Record]
    commands: "Commands"
    unusual: Mapping[int, Incoming]  # by index
    wanted: list[bytes]  # store keys


def _declared() -> "Declarations | None":
    text = declarations()
    if native is None or text is None:
        return None
    declared: Declarations = native.Declarations(text)
    return declared


DECLARED: Final = _declared()


def settles(rules: Rules) -> bool:
    """Whether the native part settles under these rules: a named bug is written in Python."""
    return DECLARED is not None and rules.turn is None


def read(rules: Rules, records: Sequence[Record]) -> Read:
    assert DECLARED is not None
    once = rules.guarantee is Guarantee.EXACTLY_ONCE
    commands = DECLARED.read(records, rules.partition, rules.partitions, once)
    wanted = commands.wanted
    unusual = {at: decode(rules, [records[at]])[0] for at in commands.unusual}
    return Read(records, commands, unusual, [*wanted, *lookups(rules, list(unusual.values()))] if unusual else wanted)


def settle_read(rules: Rules, standing: Standing, read: Read, found: dict[bytes, bytes | None]) -> Settled:
    assert DECLARED is not None
    settled = Settled(standing, keys=Packed(), charges=Packed(), replies=Packed())
    asks = (rules.guarantee is Guarantee.EXACTLY_ONCE, rules.guarantee.looks_at_keys)
    packed: Any = (settled.keys, settled.charges, settled.replies)
    turn = DECLARED.turn(rules.namespace, rules.window_ms, asks, (standing.position, standing.clock), found, packed)
    settled.writes = turn.writes
    seen = _Seen(turn.writes, found)
    at = turn.take(read.commands, 0)
    while at < len(read.records):
        one = read.unusual.get(at) or decode(rules, [read.records[at]])[0]
        settled.add(settle(rules, Standing(turn.position, turn.clock), [one], seen))
        turn.position, turn.clock = settled.standing
        at = turn.take(read.commands, at + 1)
    settled.standing = Standing(turn.position, turn.clock)
    settled.executed += turn.executed
    settled.replayed += turn.replayed
    settled.refused += turn.refused
    settled.expired += turn.expired
    return settled


class _Seen(Mapping[bytes, bytes | None]):
    """What the store holds, and before it what this turn has written."""

    def __init__(self, writes: Mapping[bytes, bytes | None], found: Mapping[bytes, bytes | None]) -> None:
        self._writes = writes
        self._found = found

    def __getitem__(self, key: bytes) -> bytes | None:
        return self._writes[key] if key in self._writes else self._found[key]

    def __iter__(self) -> Any:
        return iter({**self._found, **self._writes})

    def __len__(self) -> int:
        return len({**self._found, **self._writes})
