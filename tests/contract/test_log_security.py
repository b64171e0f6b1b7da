"""The log over TLS and SASL: a real SASL_SSL listener, and every way of being refused by it in one sentence."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.conn import ScramAuthenticator

from events.connection import connection
from services.kafka.errors import Fatal, Unfit
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing, Scope, TopicPartition
from services.kafka.publisher import Publisher
from services.kafka.tail import Tail
from tests.support.brokers import OwnBroker, own_broker
from tests.support.certificates import make_certificates
from tests.support.log_worlds import assigned
from tests.support.scram import ANOTHER_NAME, MECHANISMS, properties, scram_broker

EVERY_MECHANISM = pytest.mark.parametrize("mechanism", ["PLAIN", *MECHANISMS])


@pytest.fixture(scope="module")
def secure() -> Iterator[OwnBroker]:
    with scram_broker() as broker:
        yield broker


async def connect(secure: OwnBroker, properties: str, patience_ms: int = 10_000) -> KafkaLog:
    assert secure.sasl_ssl_bootstrap_servers is not None
    to = connection(secure.sasl_ssl_bootstrap_servers, properties)
    return await KafkaLog.connect(to, client_id="payonce-test", patience_ms=patience_ms)


@EVERY_MECHANISM
async def test_everything_works_over_tls_and_sasl(secure: OwnBroker, namespace: str, mechanism: str) -> None:
    """Topics, membership, a transaction, readers, a publisher and a tail, all through the SASL_SSL listener."""
    log = await connect(secure, properties(secure, mechanism))
    await log.ensure_topics(namespace, 2)
    commands, charges = f"{namespace}.commands", TopicPartition(f"{namespace}.charges", 1)
    tail = await Tail.start(log, commands, 2)
    member = await log.membership(f"{namespace}.processor", commands, 6_000)
    await member.start(None)
    owned = await assigned(member)
    assert await member.confirm(owned)
    to = connection(secure.sasl_ssl_bootstrap_servers or "", properties(secure, mechanism))
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


@EVERY_MECHANISM
async def test_a_wrong_password_is_said_at_once(secure: OwnBroker, mechanism: str) -> None:
    """Waiting does not mend a password, so nobody waits."""
    async with asyncio.timeout(8):
        with pytest.raises(Unfit, match="does not let 'alice' in"):
            await connect(secure, properties(secure, mechanism).replace("alice-secret", "guessed"), patience_ms=60_000)


async def test_a_mechanism_that_the_broker_does_not_have(namespace: str) -> None:
    """SCRAM, where the broker offers passwords by PLAIN alone, is refused like a wrong password."""
    with own_broker(sasl_ssl=True) as plain_only:
        async with asyncio.timeout(8):
            with pytest.raises(Unfit, match="does not let 'alice' in"):
                await connect(plain_only, properties(plain_only, "SCRAM-SHA-512"), patience_ms=60_000)


async def test_a_broker_that_does_not_know_the_password_is_not_believed(
    secure: OwnBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SCRAM the broker proves that it knows the password; one whose proof is wrong is refused."""
    monkeypatch.setattr(ScramAuthenticator, "process_server_final_message", _find_it_wrong)
    async with asyncio.timeout(8):
        with pytest.raises(Unfit, match="does not let 'alice' in"):
            await connect(secure, properties(secure, "SCRAM-SHA-256"), patience_ms=60_000)


def _find_it_wrong(authenticator: ScramAuthenticator, _proof: str) -> None:
    """What aiokafka does with a proof that is not what it computed."""
    raise ValueError("Server sent wrong signature!")


async def test_a_stranger_s_certificate_is_refused(secure: OwnBroker, tmp_path: Path) -> None:
    """A broker whose certificate another authority signed is not spoken to."""
    other = make_certificates(tmp_path)
    properties = secure.client_properties.replace(str(secure.ca_file), str(other.ca_file))
    async with asyncio.timeout(8):
        with pytest.raises(Unfit, match=r"is not trusted \(.*\): name its authority"):
            await connect(secure, properties, patience_ms=60_000)


async def test_a_certificate_for_another_name_is_refused(secure: OwnBroker) -> None:
    """The name that was asked for must be in the certificate, unless checking it was switched off."""
    alias = (secure.sasl_ssl_bootstrap_servers or "").replace("127.0.0.1", ANOTHER_NAME)
    async with asyncio.timeout(8):
        with pytest.raises(Unfit, match="is for another name"):
            await KafkaLog.connect(connection(alias, secure.client_properties), client_id="payonce-test")
    unchecked = secure.client_properties + "ssl.endpoint.identification.algorithm=none\n"
    await (await KafkaLog.connect(connection(alias, unchecked), client_id="payonce-test")).close()


async def test_a_missing_certificate_file_is_said(secure: OwnBroker, tmp_path: Path) -> None:
    """A file of the connection that cannot be read is one sentence."""
    properties = secure.client_properties.replace(str(secure.ca_file), str(tmp_path / "none.pem"))
    with pytest.raises(Unfit, match="TLS files"):
        await connect(secure, properties)


async def test_plain_text_to_a_tls_listener_gives_up_in_time(secure: OwnBroker) -> None:
    """Speaking plainly to a listener that wants TLS ends with the patience, in one sentence."""
    with pytest.raises(Fatal, match="No Kafka broker answered"):
        await connect(secure, "security.protocol=PLAINTEXT\n", patience_ms=1_500)
