"""What counts as half done, for each guarantee, from a handful of records."""

from typing import NamedTuple

import pytest

from events.guarantees import Guarantee
from simulator.faults.midwork import command_ids, half_done_commands
from simulator.log_watch import Spot


class Record(NamedTuple):
    value: bytes | None


def log(event: str = "charge.succeeded", **topics: str) -> dict[Spot, list[Record]]:
    """`charges="ab"` is a charge event of command a and one of command b."""
    value = '{"command_id":"%s","type":"' + event + '"}'
    return {(topic, 0): [Record((value % name).encode()) for name in names] for topic, names in topics.items()}


@pytest.mark.parametrize(
    ("guarantee", "records", "half_done"),
    [
        (Guarantee.AT_LEAST_ONCE, log(commands="abc", charges="ab"), "ab"),
        (Guarantee.AT_LEAST_ONCE, log(commands="c", charges="ab"), ""),
        (Guarantee.AT_LEAST_ONCE, log("charge.captured", commands="abc", charges="ab"), ""),
        (Guarantee.AT_MOST_ONCE, log(commands="abc", replies="ab"), "c"),
        (Guarantee.AT_MOST_ONCE, log(commands="ab", replies="ab"), ""),
        (Guarantee.DEDUPLICATED, log(charges="ab", keys="a"), "b"),
        (Guarantee.DEDUPLICATED, log(charges="ab", keys="ab"), ""),
        (Guarantee.DEDUPLICATED, log("charge.refunded", charges="ab", keys="a"), ""),
    ],
)
def test_half_done_work(guarantee: Guarantee, records: dict[Spot, list[Record]], half_done: str) -> None:
    """A command is half done when the first of its two writes is on the log and the second is not."""
    assert half_done_commands(guarantee, records)[1] == frozenset(half_done)


def test_exactly_once_is_asked_elsewhere() -> None:
    """Under exactly-once the open transaction itself is the half-done work."""
    with pytest.raises(ValueError, match="open transactions"):
        half_done_commands(Guarantee.EXACTLY_ONCE, {})


def test_records_without_a_command_are_passed_over() -> None:
    """Tombstones, positions and what is no JSON speak of no command."""
    records = {("keys", 0): [Record(None), Record(b'{"position":3}'), Record(b"\xff"), Record(b'{"command_id":"a"}')]}
    assert command_ids(records, "keys") == {"a"}
