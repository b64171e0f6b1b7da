"""How many commands a second one load process puts straight onto the log, history and figures included.

In:      --seconds, --rates (ascending, of purchases), --processors to have real ones instead of the cheapest.
Out:     one line a rate: commands a second, the load process's CPU a command, latencies, and whether it kept up.
Units:   per second; microseconds of CPU; milliseconds.

`python -m benchmarks.kafka_load` starts an embedded Kafka and, in a process of its own, somebody who answers every
command with a charge and does nothing else; so the load generator is what is measured. All of it shares the machine:
what a core of one's own would carry is the reciprocal of the CPU a command.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from events.connection import connection
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from simulator.broker.embedded import EmbeddedBroker
from simulator.history import HistoryWriter
from simulator.scenario.models import Load as PlannedLoad
from simulator.scenario.models import Stage
from simulator.workload.kafka_door import KafkaDoor
from simulator.workload.kafka_load import KafkaLoad
from simulator.workload.latency_log import LatencyLog
from simulator.workload.load import now_ms
from simulator.workload.plan import merchant_names, stream_purchases
from simulator.workload.summary import load_summary
from tests.support.services import service

NAMESPACE = "bench"
PARTITIONS = 4


def _answer(bootstrap: str, ready: Connection) -> None:
    """Everybody is charged, whatever they asked for."""

    async def forever() -> None:
        commands = [TopicPartition(topic_name(NAMESPACE, "commands"), number) for number in range(PARTITIONS)]
        replies = topic_name(NAMESPACE, "replies")
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, max_partition_fetch_bytes=1 << 22)
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=1 << 19, max_request_size=1 << 20)
        await consumer.start()
        await producer.start()
        consumer.assign(commands)
        await consumer.seek_to_end(*commands)
        ready.send(None)
        while True:
            for where, records in (await consumer.getmany(timeout_ms=200, max_records=1_000)).items():
                batch = producer.create_batch()
                for record in records:
                    asked = orjson.loads(record.value)
                    command_id = asked["command_id"]
                    body = f'{{"id":"ch_{command_id.replace("-", "")}","object":"charge","status":"succeeded"}}'
                    reply = {"command_id": command_id, "status": 201, "replayed": False, "body": body}
                    batch.append(timestamp=None, key=command_id.encode(), value=orjson.dumps(reply))
                await producer.send_batch(batch, replies, partition=where.partition)

    uvloop.run(forever())


@contextmanager
def cheapest(bootstrap: str) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    answering = context.Process(target=_answer, args=(bootstrap, theirs), daemon=True)
    answering.start()
    try:
        ours.recv()
        yield
    finally:
        answering.kill()
        answering.join()


@contextmanager
def processors(bootstrap: str, count: int, folder: Path) -> Iterator[None]:
    environment = {
        "PAYONCE_KAFKA": bootstrap,
        "PAYONCE_NAMESPACE": NAMESPACE,
        "PAYONCE_PARTITIONS": str(PARTITIONS),
    }
    with ExitStack() as running:
        for number in range(count):
            running.enter_context(service("processor", folder / f"processor-{number}", environment))
        yield


async def prepare(bootstrap: str) -> None:
    log = await KafkaLog.connect(connection(bootstrap), client_id="payonce-bench")
    await log.ensure_topics(NAMESPACE, PARTITIONS)
    await log.close()


async def measure(bootstrap: str, rate: float, seconds: float, folder: Path) -> str:
    planned = PlannedLoad(stages=(Stage(for_=f"{seconds * 1_000:.0f}ms", rate=rate),))
    purchases = stream_purchases(1, planned, merchant_names(64), salt=f"{now_ms():x}-")
    with (
        HistoryWriter(folder / "history.jsonl") as history,
        LatencyLog(folder / "latency.hlog", now_ms()) as latency_log,
    ):
        door = KafkaDoor(connection(bootstrap), NAMESPACE, PARTITIONS, f"bench-{now_ms():x}")
        async with door:
            load = KafkaLoad(1, door, history.write_all, warm_up_s=min(2.0, seconds / 4))
            load.tally.latencies.on_second = latency_log.write
            began, cpu = time.perf_counter(), time.process_time()
            await load.run(purchases, grace_s=30.0)
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
    told, attempts = load_summary(load.tally), load.tally.attempts
    if "fresh" not in told["latency_ms_by_outcome"]:
        return f"{rate:g} purchases/s: nobody was answered after the warm-up; {cpu / attempts * 1e6:.1f} us of CPU each"
    fresh, service_ms = told["latency_ms_by_outcome"]["fresh"], told["service_ms_by_outcome"]["fresh"]
    return (
        f"{rate:g} purchases/s: {attempts / took:,.0f} commands/s, {cpu / attempts * 1e6:.1f} us of CPU each"
        f" ({cpu / took:.0%} of a core: a whole one would make {attempts / cpu:,.0f}/s);"
        f" fresh from plan p50 {fresh['p50']:.1f} ms, p99 {fresh['p99']:.1f} ms,"
        f" from send p50 {service_ms['p50']:.1f} ms, p99 {service_ms['p99']:.1f} ms;"
        f" late {told['arrivals']['late']:,}, dropped {told['arrivals']['dropped']:,};"
        f" {'kept up' if told['generator']['kept_up'] else 'DID NOT KEEP UP'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rates", type=float, nargs="+", default=[6_000.0, 10_000.0, 14_000.0, 16_000.0])
    parser.add_argument("--processors", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="payonce-bench-") as name:
        folder = Path(name)
        broker = EmbeddedBroker(folder / "kafka", profile="throughput")
        broker.start()
        try:
            bootstrap = broker.bootstrap_servers
            uvloop.run(prepare(bootstrap))
            answering = processors(bootstrap, options.processors, folder) if options.processors else cheapest(bootstrap)
            with answering:
                for rate in options.rates:
                    (folder / f"{rate:g}").mkdir()
                    line = uvloop.run(measure(bootstrap, rate, options.seconds, folder / f"{rate:g}"))
                    sys.stdout.write(line + "\n")
                    sys.stdout.flush()
        finally:
            broker.kill()
            broker.close()


if __name__ == "__main__":
    main()
