"""Every bug on a switch is convicted: a real processor or ledger has it, and the audit of the log names its anomaly.

In:      a real Kafka; commands appended straight to the log, so that nothing but the bug can be the cause.
Out:     the audit's findings; `valid` where the same was done to services without the bug.

This is the auditor's mutation test: whoever adds to `events.breaks` must add a scenario here.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as Theirs

from events.breaks import BREAKS
from events.connection import connection
from events.topics import topic_name
from services.kafka.port import Outgoing
from services.readmodel import ReadModel
from simulator.audit.report import Report, Verdict
from simulator.audit_run import audit_namespace
from simulator.broker.embedded import EmbeddedBroker
from tests.support.commands import command
from tests.support.databases import sqlite_url
from tests.support.processor_worlds import KafkaWorld
from tests.support.services import ServiceProcess, service
from tests.support.wait import wait_until

WITHIN_S = 30.0
KEY_TTL_MS = 1_000  # short enough to outlive
LOAD = 2_000  # commands: a Kafka transaction of them takes long enough to be killed in
TRIES = 4  # a kill may miss the moment that a bug needs


class Stage:
    """One partition of a namespace, and services that all have the same bug, or none."""

    def __init__(self, kafka: EmbeddedBroker, namespace: str, directory: Path, bug: str | None) -> None:
        self.connection = connection(kafka.bootstrap_servers)
        self.namespace = namespace
        self.world = KafkaWorld(namespace, 1, self.connection)
        self.ledger_url: str | None = None
        self._directory = directory
        self.asked = 0
        self._environment = {
            "PAYONCE_KAFKA": kafka.bootstrap_servers,
            "PAYONCE_NAMESPACE": namespace,
            "PAYONCE_PARTITIONS": "1",
            "PAYONCE_BREAK": bug or "",
        }

    @contextmanager
    def processor(self, *, ready: bool = True, **more: str) -> Iterator[ServiceProcess]:
        """Always the same one, started again; ended in good order unless it was killed."""
        with service("processor", self._directory / "processor", self._environment | more, ready=ready) as running:
            yield running
            if running.process.poll() is None:
                assert running.stop() == 0, running.log()

    @contextmanager
    def everything(self) -> Iterator[None]:
        """A processor and a ledger."""
        self.ledger_url = sqlite_url(self._directory)
        environment = self._environment | {"PAYONCE_LEDGER_URL": self.ledger_url}
        with service("ledger", self._directory / "ledger", environment, ready=False) as ledger, self.processor():
            ledger.wait_ready()
            yield

    async def ask(self, *commands: Outgoing) -> None:
        """Append, and do not wait for anybody."""
        await self.world.append(*commands)
        self.asked += len(commands)

    async def settle(self) -> None:
        """Wait until the processor's position is past every command."""
        seen: list[int] = [0]

        async def is_there() -> bool:
            position = (await self.world.positions()).get(0)
            seen[0] = 0 if position is None else position["position"]
            return seen[0] >= self.asked

        await wait_until(is_there, timeout_s=WITHIN_S, message=lambda: f"at {seen[0]} of {self.asked}")

    async def pay(self, *commands: Outgoing) -> None:
        await self.ask(*commands)
        await self.settle()

    async def book(self) -> None:
        """Wait until the ledger is past every event."""
        assert self.ledger_url is not None
        charges = topic_name(self.namespace, "charges")
        read, last = ReadModel(self.ledger_url), (await self.world.read("charges"))[-1].record.offset
        try:
            await wait_until(
                lambda: (read.position(charges, 0) or 0) > last,
                timeout_s=WITHIN_S,
                message=lambda: f"the ledger is at {read.position(charges, 0)}, the last event at {last}",
            )
        finally:
            read.close()

    @asynccontextmanager
    async def next_record(self, topic: str) -> AsyncIterator[Awaitable[object]]:
        """To wait for whatever is appended to this topic next, committed or not."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.connection.bootstrap)
        await consumer.start()
        try:
            where = Theirs(topic_name(self.namespace, topic), 0)
            consumer.assign([where])
            consumer.seek(where, (await consumer.end_offsets([where]))[where])
            yield asyncio.wait_for(consumer.getone(), WITHIN_S)
        finally:
            await consumer.stop()

    async def audited(self) -> Report:
        return await audit_namespace(self.connection, self.namespace, ledger_url=self.ledger_url)


Scenario = Callable[[Stage], Awaitable[None]]


async def another_request_under_a_known_key(stage: Stage) -> None:
    await stage.pay(command(key="taken", amount=500))
    await stage.pay(command(key="taken", amount=700))


async def a_key_again_after_many_others(stage: Stage) -> None:
    await stage.pay(command(key="old"), *(command(key=f"newer-{number}") for number in range(25)))
    await stage.pay(command(key="old"))


async def a_key_again_later(stage: Stage) -> None:
    await stage.pay(command(key="again"))
    await stage.pay(command(key="again"))


async def some_purchases(stage: Stage) -> None:
    await stage.pay(*(command(key=f"some-{number}") for number in range(10)))


async def booked_purchases(stage: Stage) -> None:
    await stage.pay(*(command(key=f"booked-{number}") for number in range(3)))
    await stage.book()


async def an_old_command_delivered_again(stage: Stage) -> None:
    """The group's offset is set back over a command whose key has expired since."""
    with stage.processor(PAYONCE_KEY_TTL=f"{KEY_TTL_MS}ms"):
        await stage.pay(command(key="old"))
        expired_at = time.time() * 1_000 + KEY_TTL_MS
        await wait_until(lambda: time.time() * 1_000 > expired_at, timeout_s=WITHIN_S, message="time stands still")
        await stage.pay(command(key="newer"))
    await stage.world.rewind({0: 0})
    with stage.processor(PAYONCE_KEY_TTL=f"{KEY_TTL_MS}ms"):
        await stage.pay(command(key="newest"))


def killed_once_it_appends(topic: str) -> Scenario:
    """SIGKILL as soon as the first records of a large Kafka transaction stand in this topic; then a restart."""

    async def scenario(stage: Stage) -> None:
        already = stage.asked
        await stage.ask(*(command(key=f"load-{already + number}") for number in range(LOAD)))
        async with stage.next_record(topic) as appended:
            with stage.processor(ready=False) as processor:
                await appended
                processor.kill()
        with stage.processor():
            await stage.pay(command(key=f"after-{stage.asked}"))

    return scenario


# With services that run all the time.
STEADY: dict[str, Scenario] = {
    "no-fingerprint": another_request_under_a_known_key,
    "lru-keys": a_key_again_after_many_others,
    "recompute-answer": a_key_again_later,
    "invent-charge": some_purchases,
    "swallow-reply": some_purchases,
    "skip-posting": booked_purchases,
    "unbalanced-entry": booked_purchases,
}
# With processors that end, and are started again.
INTERRUPTED: dict[str, Scenario] = {
    "trust-group-offset": an_old_command_delivered_again,
    "offset-before-work": killed_once_it_appends("charges"),
    "key-outside-transaction": killed_once_it_appends("keys"),
}
OF_THE_LEDGER = ("skip-posting", "unbalanced-entry")

StageOf = Callable[[str | None], Stage]


@pytest.fixture
async def stage_of(kafka: EmbeddedBroker, namespace: str, tmp_path: Path) -> AsyncIterator[StageOf]:
    made: list[Stage] = []

    def make(bug: str | None) -> Stage:
        made.append(Stage(kafka, namespace, tmp_path, bug))
        return made[-1]

    yield make
    for stage in made:
        await stage.world.close()


def test_every_bug_has_a_scenario() -> None:
    """No bug can be added without showing here that it is convicted."""
    assert sorted([*STEADY, *INTERRUPTED]) == sorted(BREAKS)


@pytest.mark.parametrize("bug", STEADY)
async def test_a_bug_is_convicted(stage_of: StageOf, bug: str) -> None:
    """What a service with this bug did is invalid, and the anomaly is the one that the bug is known for."""
    stage = stage_of(bug)
    with stage.everything() if bug in OF_THE_LEDGER else stage.processor():
        await STEADY[bug](stage)
    report = await stage.audited()
    assert report.found(BREAKS[bug]), report
    assert report.verdict is Verdict.INVALID


async def test_the_same_of_healthy_services_is_valid(stage_of: StageOf) -> None:
    """All of these scenarios, done to services without a bug, leave nothing to convict and nothing unknown."""
    stage = stage_of(None)
    with stage.everything():
        for scenario in dict.fromkeys(STEADY.values()):
            await scenario(stage)
    report = await stage.audited()
    assert report.verdict is Verdict.VALID, report


@pytest.mark.parametrize("bug", INTERRUPTED)
async def test_a_bug_that_needs_an_interruption_is_convicted(stage_of: StageOf, bug: str) -> None:
    """So is a bug that shows only when a processor ends at the wrong moment, or finds its offset moved."""
    stage = stage_of(bug)
    for _ in range(TRIES):
        await INTERRUPTED[bug](stage)
        report = await stage.audited()
        if report.found(BREAKS[bug]):
            break
    assert report.found(BREAKS[bug]), report
    assert report.verdict is Verdict.INVALID


@pytest.mark.parametrize("bug", INTERRUPTED)
async def test_the_same_interruption_of_a_healthy_processor_is_valid(stage_of: StageOf, bug: str) -> None:
    """Killed and rewound in just the same way, a processor without the bug does everything once."""
    stage = stage_of(None)
    await INTERRUPTED[bug](stage)
    report = await stage.audited()
    assert report.verdict is Verdict.VALID, report
