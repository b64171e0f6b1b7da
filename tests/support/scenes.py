"""What must happen before a named bug shows: scenes for a stage, the same for services with and without it.

In:      a stage, and for those that only ask, services that run.
Out:     a settled log.
Errors:  AssertionError when something that the scene waits for does not come.
"""

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from events.identifiers import charge_id
from events.topics import processor_group
from services.kafka.group import evict
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing
from simulator.proxy.kafka import Act, Rule
from tests.support.commands import command, new_command_id
from tests.support.stage import MERCHANT, WITHIN_S, Stage
from tests.support.wait import wait_until

LOAD = 2_000  # commands: a Kafka transaction of them takes long enough to be killed in
RESTARTED_AFTER_S = 1.5  # later than the customers' clock and the log's may differ for the auditor

STANDS_STILL_MS = 1_500  # far longer than a command waits for a processor that works
HEARD_LATE_MS = 2_000  # far longer than a processor that was woken needs to read and to append
ASSIGNED = "partitions_assigned"
ACTS = ("kafka_transaction_committed", "kafka_transaction_lost", ASSIGNED)

Scene = Callable[[Stage], Awaitable[None]]


# Asked of services that run all the time


async def another_request_under_a_known_key(stage: Stage) -> None:
    await stage.pay(command(key="taken", amount=500))
    await stage.pay(command(key="taken", amount=700))


async def a_key_again_after_many_others(stage: Stage) -> None:
    await stage.pay(command(key="old"), *(command(key=f"newer-{number}") for number in range(25)))
    await stage.pay(command(key="old"))


async def a_key_again_later(stage: Stage) -> None:
    await stage.pay(command(key="again"))
    await stage.pay(command(key="again"))


async def a_key_again_a_second_later(stage: Stage) -> None:
    """A second of the log's own time, which is what keys live by."""
    await stage.pay(command(key="patient"))
    await stage.let_pass(1_000)
    await stage.pay(command(key="patient"))


async def some_purchases(stage: Stage) -> None:
    await stage.pay(*(command(key=f"some-{number}") for number in range(10)))


async def booked_purchases(stage: Stage) -> None:
    await stage.pay(*(command(key=f"booked-{number}") for number in range(3)))
    await stage.book()


async def captured_and_voided_at_once(stage: Stage) -> None:
    """The two commands are one batch of the log, so that they are read together."""
    hold, charge = a_charge(capture=False)
    await stage.pay(hold)
    await stage.pay(
        command(key="capture", operation="charge.capture", charge_id=charge),
        command(key="void", operation="charge.void", charge_id=charge),
    )


async def more_is_captured_than_held(stage: Stage) -> None:
    hold, charge = a_charge(capture=False, amount=500)
    await stage.pay(hold)
    await stage.pay(command(key="capture", operation="charge.capture", charge_id=charge, amount=600))


async def refunds_that_come_to_more_than_the_charge(stage: Stage) -> None:
    sale, charge = a_charge(amount=500)
    await stage.pay(sale)
    for key in ("one part", "another part"):
        await stage.pay(command(key=key, operation="refund.create", charge_id=charge, amount=300))


def a_charge(**payload: Any) -> tuple[Outgoing, str]:
    """The command that creates it, and the id that it will have."""
    command_id = new_command_id()
    made = command(key=f"charge {command_id}", command_id=command_id, **payload)
    return made, charge_id(MERCHANT, command_id)


# With processors that end, hang, and are started again


async def an_old_command_delivered_again(stage: Stage) -> None:
    """The group's offset is set back over a command whose key has expired since."""
    with stage.processor():
        await stage.pay(command(key="old"))
        await stage.let_pass(stage.key_ttl_ms)
        await stage.pay(command(key="newer"))
    await stage.world.rewind({0: 0})
    with stage.processor():
        await stage.pay(command(key="newest"))


async def a_record_that_is_no_command(stage: Stage) -> None:
    """Others wait behind it, and the log goes on; until all are decided, or the processor tries again once more."""
    with stage.processor() as processor:
        await stage.pay(command(key="before"))
        await stage.ask(Outgoing(MERCHANT.encode(), b"no command"), command(key="behind"))
        await stage.let_pass(STANDS_STILL_MS)
        await stage.ask(command(key="later"))
        lost = len(processor.logged("kafka_transaction_lost"))

        async def is_decided_or_tried_again() -> bool:
            return await stage.is_settled() or len(processor.logged("kafka_transaction_lost")) > lost

        await wait_until(is_decided_or_tried_again, timeout_s=WITHIN_S, message=lambda: processor.log()[-2000:])
        processor.kill()


def killed_once_it_appends(topic: str) -> Scene:
    """SIGKILL as soon as the first records of a large Kafka transaction stand in this topic; then a restart."""

    async def scene(stage: Stage) -> None:
        already = stage.asked
        await stage.ask(*(command(key=f"load-{already + number}") for number in range(LOAD)))
        async with stage.next_record(topic) as appended:
            with stage.processor(ready=False) as processor:
                await appended
                processor.kill()
        with stage.processor():
            await stage.pay(command(key=f"after-{stage.asked}"))

    return scene


async def killed_while_the_ledger_reads(stage: Stage) -> None:
    with stage.ledger():
        await killed_once_it_appends("replies")(stage)
        await stage.book()


async def killed_before_it_commits_an_answer(stage: Stage) -> None:
    """SIGKILL when a customer's answer is appended and its EndTxn on its way; a restart a little later."""
    async with stage.proxy() as proxy:
        with stage.gateway() as gateway, stage.processor(ready=False, PAYONCE_KAFKA=proxy.address) as processor:
            await asyncio.to_thread(processor.wait_ready)  # the proxy has to work meanwhile
            held = proxy.add(Rule(Act.HOLD_REQUEST, "EndTxn", "processor", cut=False))
            asking = asyncio.create_task(stage.customer_pays(gateway, "impatient"))
            await asyncio.wait_for(held.bitten.wait(), WITHIN_S)
            await asyncio.wait([asking], timeout=RESTARTED_AFTER_S)
            processor.kill()
            if asking.done():
                await stage.let_pass(int(RESTARTED_AFTER_S * 1_000))
            with stage.processor():
                await asyncio.wait_for(asking, WITHIN_S)
                await stage.settle()


async def a_zombie_of_the_same_group(stage: Stage) -> None:
    """A processor hangs and is taken out of the group, another one takes over, and the first one wakes up."""

    async def evicted() -> None:
        member_id = orjson.loads((stage.folder("processor") / "identity.json").read_bytes())["member_id"]
        kafka = await KafkaLog.connect(stage.connection, client_id="operator")
        await evict(kafka.cluster, processor_group(stage.namespace), member_id)
        await kafka.close()

    await _zombie(stage, evicted, "another")


async def a_zombie_of_the_same_identity(stage: Stage) -> None:
    """A processor hangs, the same one is started on another machine, and the first one wakes up."""

    async def moved() -> None:
        stage.folder("moved").mkdir()
        shutil.copy(stage.folder("processor") / "identity.json", stage.folder("moved"))

    await _zombie(stage, moved, "moved")


async def _zombie(stage: Stage, meanwhile: Callable[[], Awaitable[None]], successor: str) -> None:
    """Its heartbeats are answered late, so that it finds work before it finds out that it was missed."""

    def seen(*events: str) -> int:
        return sum(len(zombie.logged(event)) for event in events)

    async def more(than: int, *events: str) -> None:
        await wait_until(
            lambda: zombie.process.poll() is not None or seen(*events) > than,
            timeout_s=WITHIN_S,
            message=lambda: f"the zombie sleeps on:\n{zombie.log()[-2000:]}",
        )

    async with stage.proxy() as proxy:
        with stage.processor(ready=False, PAYONCE_KAFKA=proxy.address) as zombie:
            await asyncio.to_thread(zombie.wait_ready)  # the proxy has to work meanwhile
            await stage.pay(command(key="before"))
            proxy.add(Rule(Act.DELAY_ANSWER, "Heartbeat", "member", times=1_000, delay_ms=HEARD_LATE_MS))
            zombie.process.send_signal(signal.SIGSTOP)
            await meanwhile()
            with stage.processor(successor):
                await stage.pay(command(key="meanwhile"))
                acted, assigned = seen(*ACTS), seen(ASSIGNED)
                zombie.process.send_signal(signal.SIGCONT)
                await more(acted, *ACTS)
                proxy.clear()
                await more(assigned, ASSIGNED)
                await asyncio.to_thread(zombie.stop)
                await stage.pay(command(key="afterwards"))


async def a_late_end_of_the_transaction_before(stage: Stage) -> None:
    """An EndTxn is held up and arrives when the next transaction is half appended; then the processor is killed."""
    async with stage.proxy() as proxy:
        with stage.processor(ready=False, PAYONCE_KAFKA=proxy.address) as processor:
            await asyncio.to_thread(processor.wait_ready)  # the proxy has to work meanwhile
            held = proxy.add(Rule(Act.HOLD_REQUEST, "EndTxn", "processor"))
            await stage.pay(command(key="first"))
            half = proxy.add(Rule(Act.LOSE_ANSWER, "Produce", "processor", cut=False))
            await stage.ask(command(key="second"))
            await asyncio.wait_for(half.bitten.wait(), WITHIN_S)
            await proxy.release(held)
            processor.kill()
    with stage.processor():
        await stage.pay(command(key="third"))
