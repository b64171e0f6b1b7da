"""Commands that are the same for everybody who is measured."""

import json
from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from events.commands import Command, validate_payload
from events.partitioner import partition_of
from simulator.bench.topics import feed
from simulator.workload.prepared import RECENT, prepared_commands


@given(st.integers(0, 2**32), st.integers(0, 300), st.integers(1, 50))
def test_a_seed_gives_the_same_bytes_every_time(seed: int, count: int, merchants: int) -> None:
    """Ids and instants too."""
    assert list(prepared_commands(seed, count, merchants)) == list(prepared_commands(seed, count, merchants))


def test_every_command_obeys_the_contract() -> None:
    """Envelope, payload, record key, and an id of version 7 that no other has."""
    commands = list(prepared_commands(1, 5_000))
    for one in commands:
        command = Command.model_validate_json(one.value)
        validate_payload(command.type, command.payload)
        assert (command.command_id.encode(), command.merchant_id.encode()) == (one.command_id, one.key)
        assert UUID(command.command_id).version == 7
        assert str(UUID(command.command_id)) == command.command_id
    assert len({one.command_id for one in commands}) == len(commands)


def test_a_replay_repeats_an_earlier_command_of_its_merchant_in_all_but_the_id() -> None:
    """One in five, and none of another's key."""
    commands = [(one.is_replay, json.loads(one.value)) for one in prepared_commands(7, 20_000)]
    seen: dict[str, dict[str, object]] = {}
    fresh: dict[str, int] = {}
    for is_replay, command in commands:
        key = command["idempotency_key"]
        assert is_replay == (key in seen)
        if is_replay:
            assert {**seen[key], "command_id": None} == {**command, "command_id": None}
            assert len(fresh) - fresh[key] <= RECENT
        else:
            fresh[key] = len(fresh)
        seen.setdefault(key, command)
    assert 0.18 < Counter(is_replay for is_replay, _ in commands)[True] / len(commands) < 0.22


def test_stretches_that_do_not_overlap_share_no_key_and_no_id() -> None:
    """So that nothing of one rate is a replay of another's."""
    one, other = prepared_commands(1, 1_000), prepared_commands(1, 1_000, first=1_000)
    ids, keys = set(), set()
    for command in one:
        ids.add(command.command_id)
        keys.add(json.loads(command.value)["idempotency_key"])
    for command in other:
        assert command.command_id not in ids
        assert json.loads(command.value)["idempotency_key"] not in keys


def test_a_feed_has_every_command_in_the_partition_of_its_merchant() -> None:
    """In whole batches, each below what a topic takes."""
    commands = list(prepared_commands(1, 6_000, merchants=20))
    made = feed(commands, 4)
    assert made.command_ids == {one.command_id for one in commands}
    assert made.replays == sum(one.is_replay for one in commands)
    assert made.batches.keys() == {partition_of(one.key, 4) for one in commands}
    assert all(len(batch) <= 512 * 1024 for batches in made.batches.values() for batch in batches)
    for one in commands[:50]:
        assert any(one.value in batch for batch in made.batches[partition_of(one.key, 4)])
