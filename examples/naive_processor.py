"""A payment processor as many are: consume, charge, answer, commit the offset. It charges twice.

    payonce simulate examples/pay.yaml --processor 'python examples/naive_processor.py'

It has an idempotent producer and commits after its work, and it is convicted all the same: nothing ties charge and
offset together, so a crash between them charges again; and a retry of the customer is another command.
"""

import asyncio
import json
import os

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from events.codec import ReceivedCommand, decode_command, passed_on
from events.options import duration_ms
from paying import pay, reply

KAFKA, NAMESPACE = os.environ["PAYONCE_KAFKA"], os.environ["PAYONCE_NAMESPACE"]
PARTITIONS, WINDOW_MS = int(os.environ["PAYONCE_PARTITIONS"]), duration_ms(os.environ["PAYONCE_KEY_TTL"])


async def main() -> None:
    consumer = AIOKafkaConsumer(
        f"{NAMESPACE}.commands",
        bootstrap_servers=KAFKA,
        client_id=os.environ["CLIENT_ID"],
        group_id=f"{NAMESPACE}.processor",
        session_timeout_ms=6_000,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=KAFKA, enable_idempotence=True, acks="all")
    async with consumer, producer:
        while True:
            for where, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    command = decode_command(
                        record.offset, record.timestamp, record.key, record.value, record.headers,
                        where.partition, PARTITIONS,
                    )  # fmt: skip
                    if isinstance(command, ReceivedCommand):
                        await charge(producer, command, where.partition)
                await consumer.commit({where: records[-1].offset + 1})


async def charge(producer: AIOKafkaProducer, command: ReceivedCommand, partition: int) -> None:
    paid = pay(command, NAMESPACE, command.timestamp, WINDOW_MS)
    answer = reply(command, json.loads(paid.key))
    for topic, key, value, headers in (
        ("charges", paid.charge_id, paid.event, paid.headers),
        ("keys", command.key, paid.key, ()),
        ("replies", command.command_id.encode(), answer, passed_on(command.headers)),
    ):
        await producer.send_and_wait(f"{NAMESPACE}.{topic}", value, key=key, partition=partition, headers=list(headers))


if __name__ == "__main__":
    asyncio.run(main())
