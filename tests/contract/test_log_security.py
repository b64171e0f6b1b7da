"""The log over TLS and SASL: a real SASL_SSL listener, and every way of being refused by it in one sentence."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from events.connection import connection
from services.kafka.errors import Fatal
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, Scope, TopicPartition
from services.kafka.publisher import Publisher
from services.kafka.tail import Tail
from tests.support.brokers import OwnBroker, own_broker
from tests.support.certificates import make_certificates
from tests.support.log_worlds import assigned


@pytest.fixture(scope="module")
def secure() -> Iterator[OwnBroker]:
    with own_broker(sasl_ssl=True) as broker:
        yield broker


async def connect(secure: OwnBroker, properties: str, patience_ms: int = 10_000) -> KafkaLog:
    assert secure.sasl_ssl_bootstrap_servers is not None
    to = connection(secure.sasl_ssl_bootstrap_servers, properties)
    return await KafkaLog.connect(to, client_id="payonce-test", patience_ms=patience_ms)


async def test_everything_works_over_tls_and_sasl(secure: OwnBroker, namespace: str) -> None:
    """Topics, membership, a transaction, readers, a publisher and a tail, all through the SASL_SSL listener."""
    log = await connect(secure, secure.client_properties)
    await log.ensure_topics(namespace, 2)
    commands, charges = f"{namespace}.commands", TopicPartition(f"{namespace}.charges", 1)
    tail = await Tail.start(log, commands, 2)
    member = await log.membership(f"{namespace}.processor", commands, 6_000)
    await member.start(None)
    owned = await assigned(member)
    assert await member.confirm(owned)
    to = connection(secure.sasl_ssl_bootstrap_servers or "", secure.client_properties)
    publisher = Publisher(to, "payonce-test", 5_000)
    await publisher.start()
    appended = await publisher.send(commands, 1, b"shop", b"{}", [("reply_to", b"g")])
    assert appended == (1, 0)
    async with asyncio.timeout(10):
        while not (found := await tail.fetch(500)):
            pass
    assert [one.value for one in found[TopicPartition(commands, 1)]] == [b"{}"]
    writer = await log.writer(f"{namespace}.w", 10_000, Scope((f"{namespace}.charges",), f"{namespace}.processor"))
    await writer.start()
    await writer.produce({charges: [Outgoing(b"k", b"v")]})
    await writer.send_offsets(f"{namespace}.processor", commands, {1: 1}, owned)
    await writer.commit()
    reader = await log.reader()
    reader.assign({charges: 0})
    assert [one.value for one in (await reader.fetch(5_000))[charges]] == [b"v"]
    for one in (reader, writer, publisher, member, tail, log):
        await one.close()


async def test_a_wrong_password_is_said_at_once(secure: OwnBroker) -> None:
    """Waiting does not mend a password, so nobody waits."""
    properties = secure.client_properties.replace("alice-secret", "guessed")
    async with asyncio.timeout(8):
        with pytest.raises(Fatal, match="refused the connection"):
            await connect(secure, properties, patience_ms=60_000)


async def test_a_stranger_s_certificate_is_refused(secure: OwnBroker, tmp_path: Path) -> None:
    """A broker whose certificate another authority signed is not spoken to."""
    other = make_certificates(tmp_path)
    properties = secure.client_properties.replace(str(secure.ca_file), str(other.ca_file))
    async with asyncio.timeout(8):
        with pytest.raises(Fatal, match="certificate verify failed"):
            await connect(secure, properties, patience_ms=60_000)


async def test_a_missing_certificate_file_is_said(secure: OwnBroker, tmp_path: Path) -> None:
    """A file of the connection that cannot be read is one sentence."""
    properties = secure.client_properties.replace(str(secure.ca_file), str(tmp_path / "none.pem"))
    with pytest.raises(Fatal, match="TLS files"):
        await connect(secure, properties)


async def test_plain_text_to_a_tls_listener_gives_up_in_time(secure: OwnBroker) -> None:
    """Speaking plainly to a listener that wants TLS ends with the patience, in one sentence."""
    with pytest.raises(Fatal, match="No Kafka broker answered"):
        await connect(secure, "security.protocol=PLAINTEXT\n", patience_ms=1_500)
