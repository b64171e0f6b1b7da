"""What the transactional writer costs: CPU per record in large transactions, time per transaction in small ones.

In:      nothing.
Out:     lines of text: for each shape of transaction, records a second, client CPU a record, p50 and p99 a transaction.
Units:   microseconds, milliseconds.

`python -m benchmarks.writer` starts an embedded Kafka and commits transactions of three topics, offsets included.
"""

import sys
import time

import uvloop

from benchmarks.own_kafka import own_kafka
from events.connection import connection
from events.topics import topic_name
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Assignment, Outgoing, TopicPartition
from services.kafka.writer import TransactionalWriter

NAMESPACE = "bench"
PARTITIONS = 4
SHAPES = ((4, 1_000, 30), (4, 100, 150), (1, 1, 400))  # partitions, records in each, transactions


async def measure(writer: TransactionalWriter, member: Assignment, partitions: int, each: int, times: int) -> str:
    topics = [topic_name(NAMESPACE, name) for name in ("keys", "charges", "replies")]
    headers = [("ce_id", b"evt_" + b"0" * 32), ("ce_type", b"payonce.charge.succeeded.v1")]
    sent = [Outgoing(b"merchant/key-%d" % number, b"x" * 400, headers) for number in range(each)]
    produced = {TopicPartition(topic, number): sent for topic in topics for number in range(partitions)}
    took_ms, cpu_s, produce_cpu_s = [], time.process_time(), 0.0
    began = time.perf_counter()
    for turn in range(times):
        at, cpu_at = time.perf_counter(), time.process_time()
        await writer.produce(produced)
        produce_cpu_s += time.process_time() - cpu_at
        await writer.send_offsets(f"{NAMESPACE}.processor", topic_name(NAMESPACE, "commands"), {0: turn}, member)
        await writer.commit()
        took_ms.append((time.perf_counter() - at) * 1000)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
    took_ms.sort()
    records = 3 * partitions * each * times
    return (
        f"{3 * partitions} partitions x {each} records: {records / seconds:,.0f} records/s;"
        f" client CPU {produce_cpu_s / records * 1e6:.2f} us/record in produce,"
        f" {cpu_s / times * 1e3:.2f} ms/transaction;"
        f" p50 {took_ms[times // 2]:.1f} ms, p99 {took_ms[times * 99 // 100]:.1f} ms"
    )


async def run(bootstrap: str) -> None:
    log = await KafkaLog.connect(connection(bootstrap), client_id="payonce-bench")
    await log.ensure_topics(NAMESPACE, PARTITIONS)
    member = await log.membership(f"{NAMESPACE}.processor", topic_name(NAMESPACE, "commands"), 6_000)
    await member.start(None)
    while (current := await member.changed(None, 1_000)) is None:
        pass
    writer = await log.writer(f"{NAMESPACE}.writer", 10_000)
    await writer.start()
    for shape in SHAPES:
        await measure(writer, current, *shape[:2], 3)  # warm
        sys.stdout.write(await measure(writer, current, *shape) + "\n")
    for one in (writer, member, log):
        await one.close()


def main() -> None:
    with own_kafka() as (bootstrap, _):
        uvloop.run(run(bootstrap))


if __name__ == "__main__":
    main()
