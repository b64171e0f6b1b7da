"""Every bug on a switch is convicted: a real processor or ledger has it, and the audit of the log names its anomaly.

In:      a real Kafka; commands appended straight to the log, so that nothing but the bug can be the cause.
Out:     the audit's findings; `valid` where the same was done to services without the bug.

This is the auditor's mutation test: whoever adds to `events.breaks` must add a scenario here.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from events.breaks import BREAKS
from events.connection import connection
from events.topics import topic_name
from services.kafka.port import Outgoing, TopicPartition
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


class Stage:
    """One partition of a namespace, and services that all have the same bug, or none."""

    def __init__(self, kafka: EmbeddedBroker, namespace: str, directory: Path, bug: str | None) -> None:
        self.connection = connection(kafka.bootstrap_servers)
        self.namespace = namespace
        self.world = KafkaWorld(namespace, 1, self.connection)
        self.ledger_url: str | None = None
        self._directory = directory
        self._commands = 0
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
    def ledger(self) -> Iterator[ServiceProcess]:
        self.ledger_url = sqlite_url(self._directory)
        environment = self._environment | {"PAYONCE_LEDGER_URL": self.ledger_url}
        with service("ledger", self._directory / "ledger", environment) as running:
            yield running

    async def ask(self, *commands: Outgoing) -> None:
        """Append, and do not wait for anybody."""
        await self.world.append(*commands)
        self._commands += len(commands)

    async def settle(self) -> None:
        """Wait until the processor's position is past every command."""
        seen: list[int] = [0]

        async def is_there() -> bool:
            position = (await self.world.positions()).get(0)
            seen[0] = 0 if position is None else position["position"]
            return seen[0] >= self._commands

        await wait_until(is_there, timeout_s=WITHIN_S, message=lambda: f"at {seen[0]} of {self._commands}")

    async def pay(self, *commands: Outgoing) -> None:
        await self.ask(*commands)
        await self.settle()

    async def end_of(self, topic: str) -> int:
        """Where the next record will be appended, committed or not."""
        where = TopicPartition(topic_name(self.namespace, topic), 0)
        log = await self.world.connect("looker")
        try:
            ends: dict[TopicPartition, int] = await log.high_watermarks([where])
        finally:
            await log.close()
        return ends[where]

    async def audited(self) -> Report:
        return await audit_namespace(self.connection, self.namespace, ledger_url=self.ledger_url)


Scenario = Callable[[Stage], Awaitable[None]]


async def another_request_under_a_known_key(stage: Stage) -> None:
    with stage.processor():
        await stage.pay(command(key="k", amount=500))
        await stage.pay(command(key="k", amount=700))


async def a_key_again_after_many_others(stage: Stage) -> None:
    with stage.processor():
        await stage.pay(command(key="k"), *(command(key=f"other-{number}") for number in range(25)))
        await stage.pay(command(key="k"))


async def a_key_again_later(stage: Stage) -> None:
    with stage.processor():
        await stage.pay(command(key="k"))
        await stage.pay(command(key="k"))


async def some_purchases(stage: Stage) -> None:
    with stage.processor():
        await stage.pay(*(command(key=f"k{number}") for number in range(10)))


async def booked_purchases(stage: Stage) -> None:
    with stage.processor(), stage.ledger():
        await stage.pay(*(command(key=f"k{number}") for number in range(3)))
        assert stage.ledger_url is not None
        read = ReadModel(stage.ledger_url)
        charges, end = topic_name(stage.namespace, "charges"), await stage.end_of("charges")
        await wait_until(
            lambda: (read.position(charges, 0) or 0) >= end,
            timeout_s=WITHIN_S,
            message=lambda: f"the ledger is at {read.position(charges, 0)} of {end}",
        )
        read.close()


class Case(NamedTuple):
    scenario: Scenario
    tries: int = 1  # where a kill must hit a moment, it may miss it


CASES = {
    "no-fingerprint": Case(another_request_under_a_known_key),
    "lru-keys": Case(a_key_again_after_many_others),
    "recompute-answer": Case(a_key_again_later),
    "invent-charge": Case(some_purchases),
    "swallow-reply": Case(some_purchases),
    "skip-posting": Case(booked_purchases),
    "unbalanced-entry": Case(booked_purchases),
}


@pytest.fixture
async def stage_of(
    kafka: EmbeddedBroker, namespace: str, tmp_path: Path
) -> AsyncIterator[Callable[[str | None], Stage]]:
    made: list[Stage] = []

    def make(bug: str | None) -> Stage:
        made.append(Stage(kafka, namespace, tmp_path, bug))
        return made[-1]

    yield make
    for stage in made:
        await stage.world.close()


@pytest.mark.parametrize("bug", CASES)
async def test_a_bug_is_convicted(stage_of: Callable[[str | None], Stage], bug: str) -> None:
    """What a service with this bug did is invalid, and the anomaly is the one that the bug is known for."""
    stage = stage_of(bug)
    case = CASES[bug]
    for _ in range(case.tries):
        await case.scenario(stage)
        report = await stage.audited()
        if report.found(BREAKS[bug]):
            break
    assert report.found(BREAKS[bug]), report
    assert report.verdict is Verdict.INVALID


@pytest.mark.parametrize(
    "scenario", dict.fromkeys(case.scenario for case in CASES.values()), ids=lambda it: it.__name__
)
async def test_without_a_bug_the_same_is_valid(stage_of: Callable[[str | None], Stage], scenario: Scenario) -> None:
    """The very same done to healthy services leaves nothing to convict and nothing unknown."""
    stage = stage_of(None)
    await scenario(stage)
    report = await stage.audited()
    assert report.verdict is Verdict.VALID, report
