"""What a processor promises, on the log in memory and on a real Kafka: the same tests for both."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from events.connection import connection
from events.guarantees import Guarantee
from services.kafka.errors import Fenced
from services.processor.store.memory import MemoryStore
from services.processor.takeover import Refused
from tests.support.commands import command, merchant_of, new_command_id
from tests.support.mortal import Death, Died, Gate
from tests.support.processor_worlds import World, world_of

PARTITIONS = 2
STEPS = ("before produce", "after produce", "after offsets", "after commit", "before apply")


@pytest.fixture(params=["memory", "kafka"])
async def world(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[World]:
    broker = request.getfixturevalue("kafka") if request.param == "kafka" else None
    to = connection(broker.bootstrap_servers) if broker is not None else None
    async with world_of(request.param, namespace, PARTITIONS, to) as made:
        yield made


async def run_to(world: World, replies: int, name: str = "p1", **options: object) -> None:
    """A processor that runs until there are so many replies, and stops."""
    processor = await world.processor(name, **options)  # type: ignore[arg-type]
    await processor.ready()
    await world.replies(replies)
    await processor.stop()


async def test_a_command_is_executed_once(world: World) -> None:
    """A command becomes one charge event, one key record, one reply and a position."""
    asked = command("shop", "k1")
    await world.append(asked)
    await run_to(world, 1)
    (charge,) = await world.charges()
    (reply,) = await world.replies(1)
    key = (await world.keys())["shop/k1"]
    assert key is not None
    assert (reply["status"], reply["replayed"]) == (201, False)
    assert key["body"] == reply["body"]
    assert key["charge_id"] == charge["charge_id"]
    assert key["expires_at"] - key["completed_at"] == 86_400_000
    assert sorted(one["position"] for one in (await world.positions()).values()) == [1]


async def test_equal_keys_in_one_batch_see_each_other(world: World) -> None:
    """The second command under a key is answered from the first, also when both were fetched at once."""
    await world.append(*(command("shop", "k1") for _ in range(3)), command("shop", "k1", amount=501))
    await run_to(world, 4)
    replies = await world.replies(4)
    assert [one["status"] for one in replies] == [201, 201, 201, 422]
    assert [one["replayed"] for one in replies] == [False, True, True, False]
    assert len({one["body"] for one in replies[:3]}) == 1
    assert len(await world.charges()) == 1


@pytest.mark.parametrize("kept", [True, False])
async def test_a_successor_answers_from_the_log(world: World, kept: bool) -> None:
    """What was executed before a restart is replayed after it, with the store kept or lost."""
    store = MemoryStore()
    await world.append(command("shop", "k1"), command("shop", "k2"))
    await run_to(world, 2, store=store)
    await world.append(command("shop", "k1"), command("shop", "k3"))
    await run_to(world, 4, store=store if kept else MemoryStore())
    replies = await world.replies(4)
    assert [one["replayed"] for one in replies] == [False, False, True, False]
    assert replies[2]["body"] == replies[0]["body"]
    assert len(await world.charges()) == 3


async def test_a_rewind_executes_nothing(world: World) -> None:
    """Commands below the position are answered again with the same bytes, and charge nobody."""
    await world.append(*(command(f"shop{one}", "k") for one in range(6)), command("shop0"))
    await run_to(world, 7)
    before = await world.positions()
    await world.rewind(dict.fromkeys(range(PARTITIONS), 0))
    await run_to(world, 14)
    replies = await world.replies(14)
    assert len({(one["command_id"], one["body"], one["replayed"]) for one in replies}) == 7
    assert len(await world.charges()) == 7
    after = await world.positions()
    assert {one: value["position"] for one, value in after.items()} == {
        one: value["position"] for one, value in before.items()
    }


async def test_a_fast_forward_loses_nothing(world: World) -> None:
    """A group offset beyond the position does not skip commands."""
    merchant = merchant_of(0, PARTITIONS)
    await world.append(command(merchant, "k1"))
    await run_to(world, 1)
    await world.append(command(merchant, "k2"), command(merchant, "k3"))
    await world.rewind({0: 3})
    await run_to(world, 3)
    assert len(await world.charges()) == 3


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_processor_leaves_nothing_half(world: World, step: str) -> None:
    """Whatever step a processor dies at, its successor makes it exactly one charge, one key and one reply."""
    death = Death(step)
    first = await world.processor("p1", death=death)
    await first.ready()
    await world.append(*(command(f"shop{one}", "k") for one in range(5)))
    assert isinstance(await first.ended(), Died)
    await run_to(world, 5, predecessor=first.member_id)
    assert len(await world.charges()) == 5
    assert len(await world.keys()) == 5
    assert sorted(one["status"] for one in await world.replies(5)) == [201] * 5


async def test_another_process_waits_for_the_dead_ones_transaction(world: World) -> None:
    """A processor of another identity waits until the open transaction has ended, and then does the work once."""
    death = Death("after offsets")
    first = await world.processor("p1", death=death)
    await first.ready()
    await world.append(command("shop", "k1"))
    assert isinstance(await first.ended(), Died)
    await run_to(world, 1, name="p2")
    assert len(await world.charges()) == 1
    assert len(await world.replies(1)) == 1


async def test_a_zombie_is_fenced(world: World) -> None:
    """A processor whose identity was taken over in mid-transaction commits nothing and ends as fenced."""
    gate = Gate("after offsets")
    zombie = await world.processor("p1", death=gate)
    await zombie.ready()
    await world.append(command("shop", "k1"))
    await asyncio.wait_for(gate.happened.wait(), 20)
    successor = await world.processor("p1", predecessor=zombie.member_id)
    await successor.ready()
    # Its membership still lives and may join again: what it holds then is free only once it has ended.
    gate.opened.set()
    assert isinstance(await zombie.ended(), Fenced)
    await world.replies(1)
    await successor.stop()
    assert len(await world.charges()) == 1
    assert len(await world.replies(1)) == 1


async def test_partitions_that_stay_go_on(world: World) -> None:
    """While another processor joins, those that stay are worked on, and are not taken over again."""
    with capture_logs() as logged:
        first = await world.processor("p1")
        await first.ready()
        second = await world.processor("p2")
        for batch in range(3):
            await world.append(*(command(f"shop{one}", f"k{batch}") for one in range(8)))
            await world.replies(8 * batch + 8)
            await second.ready()
        shared_out = list(logged)
        await first.stop()
        await second.stop()
    (kept,) = [one["kept"] for one in shared_out if one["event"] == "partitions_assigned" and one["kept"]]
    taken = [set(map(int, one["read_from"])) for one in shared_out if one["event"] == "partitions_taken_over"]
    assert [set(kept) & some for some in taken] == [set(kept), set()]
    assert len(await world.charges()) == 24


async def test_two_processors_share_and_hand_over(world: World) -> None:
    """While members come and go, every command is executed once and answered once."""
    first = await world.processor("p1")
    await first.ready()
    for batch in range(3):
        await world.append(*(command(f"shop{one}", f"k{batch}") for one in range(8)))
        if batch == 1:
            second = await world.processor("p2")
    await second.ready()
    await world.append(*(command(f"shop{one}", "late") for one in range(8)))
    await world.replies(32)
    await first.stop()
    await world.append(*(command(f"shop{one}", "later") for one in range(8)))
    await world.replies(40)
    await second.stop()
    assert len(await world.charges()) == 40
    assert len({one["command_id"] for one in await world.replies(40)}) == 40


async def test_another_window_is_refused(world: World) -> None:
    """A processor with another --key-ttl than the namespace's says so in one sentence and stops."""
    await world.append(command("shop", "k1"))
    await run_to(world, 1)
    other = await world.processor(window_ms=1_000)
    error = await other.ended()
    assert isinstance(error, Refused)
    assert error.usage
    assert "--key-ttl is fixed when a namespace is created" in str(error)


async def test_a_key_expires_and_may_be_used_again(world: World) -> None:
    """After its window a key gets a tombstone, the same key charges anew, and a redelivery is refused."""
    merchant = merchant_of(0, PARTITIONS)
    processor = await world.processor(window_ms=1_500)
    await processor.ready()
    first = command(merchant, "k1")
    await world.append(first)
    await world.replies(1)

    answered = 1
    for _ in range(200):  # the clock moves with records only
        await world.append(command(merchant, "tick", amount=1))
        answered += 1
        await world.replies(answered)
        if (await world.keys())[f"{merchant}/k1"] is None:
            break
        await asyncio.sleep(0.02)
    assert (await world.keys())[f"{merchant}/k1"] is None, "no tombstone"
    await processor.stop()

    await world.rewind({0: 0})
    again = await world.processor(window_ms=1_500)
    await again.ready()
    await world.replies(answered * 2)
    expired = [one for one in await world.replies(answered * 2) if one["status"] == 409]
    assert expired, "the redelivered command has no key record any more"
    assert {'"code":"command_expired"' in one["body"] for one in expired} == {True}
    before = len(await world.charges())
    await world.append(command(merchant, "k1"))
    await world.replies(answered * 2 + 1)
    assert len(await world.charges()) == before + 1
    assert (await world.keys())[f"{merchant}/k1"] is not None
    await again.stop()


@pytest.mark.parametrize(
    ("guarantee", "step", "charges"),
    [
        (Guarantee.AT_LEAST_ONCE, "after produce", 2),
        (Guarantee.AT_MOST_ONCE, "after offsets", 0),
        (Guarantee.DEDUPLICATED, "after produce", 2),
    ],
)
async def test_lower_guarantees_show_what_they_are(world: World, guarantee: Guarantee, step: str, charges: int) -> None:
    """Killed at its weak step, each guarantee below exactly-once charges twice or loses."""
    first = await world.processor("p1", death=Death(step), guarantee=guarantee)
    await first.ready()
    await world.append(command("shop", "k1"))
    assert isinstance(await first.ended(), Died)
    second = await world.processor("p1", guarantee=guarantee, predecessor=first.member_id)
    await second.ready()
    await world.append(command("shop", "k2"))
    for _ in range(100):
        replied = {one["idempotency_key"] for one in await world.replies(1)}
        if "k2" in replied:
            break
    await second.stop()
    assert len([one for one in await world.charges() if one["idempotency_key"] == "k1"]) == charges


@pytest.mark.parametrize("guarantee", [one for one in Guarantee if one is not Guarantee.EXACTLY_ONCE])
async def test_lower_guarantees_go_on_where_they_stopped(world: World, guarantee: Guarantee) -> None:
    """Without trouble a restart under a lower guarantee neither repeats nor loses, and writes no position."""
    await world.append(command("shop", "k1"), command("shop", "k2"))
    await run_to(world, 2, guarantee=guarantee)
    await world.append(command("shop", "k3"))
    await run_to(world, 3, guarantee=guarantee)
    assert len(await world.charges()) == 3
    assert await world.positions() == {}


async def test_offsets_before_work_lose(world: World) -> None:
    """The bug offset-before-work loses a command when the process dies between its two transactions."""
    death = Death("after commit")
    first = await world.processor("p1", death=death, bugs=["offset-before-work"])
    await first.ready()
    await world.append(command("shop", "k1"))
    assert isinstance(await first.ended(), Died)
    second = await world.processor("p1", predecessor=first.member_id)
    await second.ready()
    await world.append(command("shop", "k2"))
    await world.replies(1)
    await second.stop()
    assert [one["idempotency_key"] for one in await world.charges()] == ["k2"]


async def test_a_key_outside_the_transaction_is_torn(world: World) -> None:
    """The bug key-outside-transaction leaves a key record without its charge."""
    death = Death("after offsets")
    first = await world.processor("p1", death=death, bugs=["key-outside-transaction"])
    await first.ready()
    await world.append(command("shop", "k1"))
    assert isinstance(await first.ended(), Died)
    await run_to(world, 1, predecessor=first.member_id)
    assert await world.keys()
    assert await world.charges() == []


async def test_a_command_of_the_wrong_partition_is_dead_lettered(world: World) -> None:
    """What cannot be executed goes to the dead letters as received, moves the position, and stops nobody."""
    merchant = merchant_of(0, PARTITIONS)
    bad = command(merchant, "k1")._replace(value=b"{not json")
    wrong = command(merchant, "k2", amount=-1, command_id=new_command_id())
    await world.append(bad, wrong, command(merchant, "k3"))
    await run_to(world, 2)
    dead = await world.read("dead-letters")
    assert [one.record.value for one in dead] == [bad.value, wrong.value]
    assert [dict(one.record.headers)["offset"] for one in dead] == [b"0", b"1"]
    assert [one["status"] for one in await world.replies(2)] == [400, 201]
    assert (await world.positions())[0]["position"] == 3
