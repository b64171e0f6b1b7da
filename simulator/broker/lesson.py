"""What a broker is shown while its classes are recorded: one topic, one Kafka transaction, one group.

In:      HOST:PORT as the only argument.
Errors:  any, with a stack trace: a program of its own (python -m simulator.broker.lesson), whose words nobody hears.
"""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def lesson(bootstrap_servers: str) -> None:
    """Most of what a run asks of a broker, once."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic("lesson", 1, 1, topic_configs={"cleanup.policy": "compact"})])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, transactional_id="teacher")
    async with producer, producer.transaction():
        await producer.send_and_wait("lesson", b"said", b"key")
    consumer = AIOKafkaConsumer(
        "lesson",
        bootstrap_servers=bootstrap_servers,
        group_id="class",
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with consumer:
        await consumer.getone()
        await consumer.commit()


if __name__ == "__main__":
    asyncio.run(lesson(sys.argv[1]))
