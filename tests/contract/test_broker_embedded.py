"""The embedded broker: a real Kafka that starts, dies and comes back."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from simulator.broker.embedded import EmbeddedBroker
from tests.support.wait import wait_until


async def test_shared_broker_serves_a_transaction(kafka: EmbeddedBroker, namespace: str) -> None:
    """A record committed in a Kafka transaction is read back."""
    topic = f"{namespace}.spoken"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=namespace)
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"said", partition=0)
    await producer.stop()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    record = await wait_until(consumer.getone, timeout_s=10, message="the committed record was not readable")
    assert record.value == b"said"
    await consumer.stop()
