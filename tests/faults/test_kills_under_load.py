"""Processors and the broker killed while commands come at half of the most that this machine has just shown it can do.

The auditor judges every record. How many commands that are is the machine's to say: a slower one is given fewer.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest

from events.connection import connection
from events.guarantees import Guarantee
from events.partitioner import partition_of
from events.topics import processor_group, topic_name
from services.kafka.errors import KafkaFailure
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, TopicPartition
from simulator.audit_run import audit_namespace
from simulator.broker.embedded import EmbeddedBroker
from simulator.workload.prepared import Prepared, prepared_commands
from tests.support.brokers import own_broker
from tests.support.services import ServiceProcess
from tests.support.wait import wait_until

PARTITIONS = 4
SEED = 13
WARM = 10_000  # uncounted: the broker's virtual machine compiles
FLOOD = 50_000  # all at once: the rate at which they are answered is the maximum
SHARE = 0.5  # of it, for LOAD_S
LOAD_S = 12.0
STEP_S = 0.02
BROKER = -1
KILLS = ((1.0, (0,)), (3.0, (1,)), (5.0, (BROKER,)), (9.0, (0,)), (11.0, (0, 1)))  # seconds after its beginning, who
ANSWERED_WITHIN_S = 60.0


class Load:
    """Commands straight onto the log, and whether all that is there has been executed."""

    def __init__(self, log: KafkaLog, namespace: str) -> None:
        self._log = log
        self._group, self._topic = processor_group(namespace), topic_name(namespace, "commands")
        self._spots = [TopicPartition(self._topic, one) for one in range(PARTITIONS)]
        self.again = 0  # appends without an answer, made once more: those commands may be on the log twice

    async def start(self) -> None:
        self._writer = await self._log.plain_writer()
        await self._writer.start()

    async def close(self) -> None:
        await self._writer.close()

    async def append(self, commands: Iterable[Prepared]) -> None:
        """Until it is certain that they are there, whatever happens to the broker."""
        loads: dict[TopicPartition, list[Outgoing]] = {}
        for one in commands:
            where = self._spots[partition_of(one.key, PARTITIONS)]
            loads.setdefault(where, []).append(Outgoing(one.key, one.value))
        failed = False

        async def is_appended() -> bool:
            nonlocal failed
            try:
                if failed:
                    await self._writer.recover()
                await self._writer.produce(loads)
            except KafkaFailure:
                failed = True
                self.again += 1
                return False
            return True

        await wait_until(is_appended, timeout_s=60, message="the commands could not be appended")

    async def is_done(self) -> bool:
        """The group has committed the end of every partition."""
        try:
            ends = await self._log.high_watermarks(self._spots)
            at = await self._log.stable_offsets(self._group, self._topic, range(PARTITIONS))
        except KafkaFailure:
            return False
        return all((at[where.partition] or 0) >= end for where, end in ends.items())

    async def wait_done(self) -> None:
        await wait_until(self.is_done, timeout_s=ANSWERED_WITHIN_S, message="not all commands were executed")

    async def most_per_s(self, commands: Sequence[Prepared]) -> float:
        began = time.monotonic()
        await self.append(commands)
        await self.wait_done()
        return len(commands) / (time.monotonic() - began)

    async def paced(self, commands: Sequence[Prepared], per_s: float) -> float:
        """An open loop: what came due while the broker was away comes at once when it is back; how long it took."""
        began = time.monotonic()
        sent = 0
        while sent < len(commands):
            due = min(len(commands), int((time.monotonic() - began) * per_s))
            if due > sent:
                await self.append(commands[sent:due])
                sent = due
            await asyncio.sleep(STEP_S)
        return time.monotonic() - began


class Processors:
    """Two of them, that come back after each kill."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._directory, self._environment = directory, environment
        self._processes: dict[int, ServiceProcess] = {}

    async def start(self, number: int) -> None:
        directory = self._directory / f"p{number}"
        self._processes[number] = process = ServiceProcess("processor", directory, self._environment)
        await asyncio.to_thread(process.wait_ready)

    async def kill(self, *numbers: int) -> None:
        """SIGKILL, and start them again."""
        for number in numbers:
            assert self._processes[number].process.poll() is None, f"processor {number} had ended by itself"
            self._processes[number].kill()
        await asyncio.gather(*map(self.start, numbers))

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()


async def disturb(broker: EmbeddedBroker, processors: Processors) -> None:
    began = time.monotonic()
    for at_s, victims in KILLS:
        await asyncio.sleep(max(0.0, began + at_s - time.monotonic()))
        if BROKER in victims:
            broker.kill()
            await asyncio.to_thread(broker.restart)
        else:
            await processors.kill(*victims)


@pytest.fixture
def broker() -> Iterable[EmbeddedBroker]:
    with own_broker(profile="throughput") as own:
        yield own


@pytest.fixture
async def log(broker: EmbeddedBroker) -> AsyncIterator[KafkaLog]:
    made = await KafkaLog.connect(connection(broker.bootstrap_servers), client_id="load")
    yield made
    await made.close()


@pytest.mark.timeout(300)
async def test_at_half_of_the_maximum_every_command_is_answered_once_whatever_is_killed(
    broker: EmbeddedBroker, log: KafkaLog, namespace: str, tmp_path: Path
) -> None:
    """Five SIGKILLs of processors and one of the broker, in mid-transaction; the verdict on every record is valid."""
    environment = {
        "PAYONCE_KAFKA": broker.bootstrap_servers,
        "PAYONCE_NAMESPACE": namespace,
        "PAYONCE_PARTITIONS": str(PARTITIONS),
    }
    await log.ensure_topics(namespace, PARTITIONS)
    load = Load(log, namespace)
    await load.start()
    processors = Processors(tmp_path, environment)
    try:
        await asyncio.gather(processors.start(0), processors.start(1))
        commands = list(prepared_commands(SEED, WARM + FLOOD))
        await load.most_per_s(commands[:WARM])
        per_s = SHARE * await load.most_per_s(commands[WARM:])
        more = list(prepared_commands(SEED, int(per_s * LOAD_S), first=len(commands)))
        took_s, _ = await asyncio.gather(load.paced(more, per_s), disturb(broker, processors))
        await load.wait_done()
    finally:
        processors.end()
        await load.close()
    where = connection(broker.bootstrap_servers)
    report = await audit_namespace(where, namespace, guarantee=Guarantee.EXACTLY_ONCE)
    print(f"{len(more)} commands at {per_s:.0f}/s in {took_s:.1f} s, {load.again} appends made again: {report.counts}")
    assert report.verdict == "valid", report
    first_attempts = sum(not one.is_replay for one in (*commands, *more))
    assert report.counts.charges == first_attempts, "one charge for each key"
    assert report.counts.commands >= len(commands) + len(more)
    assert report.counts.aborted_records, "nothing was killed in mid-transaction"
