"""A connection to a real Kafka that breaks at the worst moment, under the event loop that services run on."""

import asyncio

import pytest
import uvloop
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from services.kafka.wire import AIOKafkaConnection
from simulator.broker.embedded import EmbeddedBroker


def test_a_write_to_a_broken_connection_is_a_lost_connection(kafka: EmbeddedBroker) -> None:
    """uvloop raises RuntimeError before the reading side has noticed; clients must be told what they understand."""

    async def write_too_late() -> None:
        host, _, port = kafka.bootstrap_servers.rpartition(":")
        broken = AIOKafkaConnection(host, int(port))
        await broken.connect()
        broken._writer.transport.abort()
        await asyncio.sleep(0)
        with pytest.raises(KafkaConnectionError, match="broken"):
            broken.send(ApiVersionRequest())
        assert not broken.connected()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(write_too_late())
