"""How many commands a second one processor process handles from a preloaded topic, beside its broker.

In:      --commands N, --partitions P, --merchants M, --guarantee G.
Out:     one JSON line: commands, seconds, commands per second; the processor's own CPU seconds.
Units:   seconds.

`python -m benchmarks.throughput` starts an embedded Kafka, puts charge.create commands on the log, then starts
`python -m services.processor` and takes the time from its `ready` to the last command's position committed.
"""

import argparse
import asyncio
import json
import sys
import time
import uuid
from pathlib import Path

import orjson
import psutil

from benchmarks.own_kafka import own_kafka
from events.connection import connection
from events.partitioner import partition_of
from events.topics import processor_group, topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, TopicPartition
from tests.support.services import service

NAMESPACE = "bench"


def commands(count: int, merchants: int, partitions: int) -> dict[TopicPartition, list[Outgoing]]:
    """Charge creations of many merchants, each under a key of its own."""
    now_ms = time.time_ns() // 1_000_000
    topic = topic_name(NAMESPACE, "commands")
    loads: dict[TopicPartition, list[Outgoing]] = {}
    for number in range(count):
        merchant = f"merchant{number % merchants}"
        value = {
            "command_id": str(uuid.UUID(int=(now_ms << 80) | (7 << 76) | number)),
            "type": "charge.create",
            "merchant_id": merchant,
            "idempotency_key": f"order-{number:010d}",
            "issued_at": now_ms,
            "deadline_at": now_ms + 3_600_000,
            "payload": {
                "amount": 100 + number % 100_000,
                "currency": "eur",
                "payment_method": "pm_card_visa",
                "description": f"order {number}",
                "metadata": {"order": str(number), "shop": merchant},
            },
        }
        where = TopicPartition(topic, partition_of(merchant.encode(), partitions))
        loads.setdefault(where, []).append(Outgoing(merchant.encode(), orjson.dumps(value)))
    return loads


async def preload(kafka: KafkaLog, loads: dict[TopicPartition, list[Outgoing]]) -> None:
    writer = await kafka.plain_writer()
    for at in range(0, max(map(len, loads.values())), 5_000):
        await writer.produce({where: some[at : at + 5_000] for where, some in loads.items()})
    await writer.close()


async def until_done(kafka: KafkaLog, loads: dict[TopicPartition, list[Outgoing]], partitions: int) -> None:
    ends = {where.partition: len(some) for where, some in loads.items()}
    while True:
        at = await kafka.stable_offsets(
            processor_group(NAMESPACE), topic_name(NAMESPACE, "commands"), range(partitions)
        )
        if all((at[one] or 0) >= end for one, end in ends.items()):
            return
        await asyncio.sleep(0.25)  # it runs on the same two cores


async def measure(bootstrap: str, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    kafka = await KafkaLog.connect(connection(bootstrap), client_id="payonce-benchmark")
    await kafka.ensure_topics(NAMESPACE, options.partitions)
    loads = commands(options.commands, options.merchants, options.partitions)
    await preload(kafka, loads)
    environment = {
        "PAYONCE_KAFKA": bootstrap,
        "PAYONCE_NAMESPACE": NAMESPACE,
        "PAYONCE_PARTITIONS": str(options.partitions),
        "PAYONCE_GUARANTEE": options.guarantee,
    }
    with service("processor", folder / "processor", environment) as processor:
        (ready,) = processor.logged("ready")
        await until_done(kafka, loads, options.partitions)
        seconds = time.time() - ready["at"] / 1000
        used = psutil.Process(processor.pid).cpu_times()
        if options.verbose:
            sys.stderr.write(processor.log())
    await kafka.close()
    return {
        "commands": options.commands,
        "guarantee": options.guarantee,
        "partitions": options.partitions,
        "seconds": round(seconds, 2),
        "commands_per_second": round(options.commands / seconds),
        "processor_cpu_seconds": round(used.user + used.system, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=150_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--merchants", type=int, default=64)
    parser.add_argument("--guarantee", default="exactly-once")
    parser.add_argument("--verbose", action="store_true", help="The processor's log, too.")
    options = parser.parse_args()
    with own_kafka("quick") as (bootstrap, folder):
        found = asyncio.run(measure(bootstrap, folder, options))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
