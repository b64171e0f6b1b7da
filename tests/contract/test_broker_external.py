"""Somebody else's cluster: used when it is good enough, refused in one sentence when it is not."""

import dataclasses
import io
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kio.schema.api_versions.v4.response import ApiVersionsResponse
from kio.serial import entity_reader, entity_writer

from events.connection import connection
from simulator.broker import BrokerUnavailable, EmbeddedBroker, ExternalBroker, make_broker
from simulator.broker.cluster import _ask
from tests.support.brokers import OwnBroker, own_broker

OLD_KAFKA = bytes.fromhex((Path(__file__).parent / "data" / "api_versions_kafka_3.9.1.hex").read_text())


@pytest.fixture(scope="module")
def secured() -> Iterator[OwnBroker]:
    """A broker with a SASL_SSL listener."""
    with own_broker(sasl_ssl=True) as broker:
        yield broker


@contextmanager
def replaying(answer: bytes) -> Iterator[str]:
    """A server that gives this answer, behind length and correlation id, to whatever it is asked."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(struct.pack(">ii", len(answer) + 4, 1) + answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def refusal(address: str, properties: str | None = None) -> str:
    """The sentence with which a cluster is refused."""
    with pytest.raises(BrokerUnavailable) as caught:
        ExternalBroker(connection(address, properties)).start()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_good_cluster_is_used_as_it_is(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """A cluster at HOST:PORT is checked, used at that address, and has no pid, log or proxied listener here."""
    broker = make_broker(kafka.bootstrap_servers, tmp_path)
    broker.start()
    broker.restart()
    broker.stop()
    assert broker.bootstrap_servers == kafka.bootstrap_servers
    assert (broker.pid, broker.log_path, broker.proxied_bootstrap_servers) == (None, None, None)
    assert kafka.alive()


async def test_it_can_be_checked_inside_an_event_loop(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """Starting blocks, but does not mind a running loop."""
    make_broker(kafka.bootstrap_servers, tmp_path).start()


def test_the_second_of_two_addresses_will_do(kafka: EmbeddedBroker) -> None:
    """One address that answers is enough."""
    ExternalBroker(connection(f"127.0.0.1:9,{kafka.bootstrap_servers}")).start()


def test_faults_of_somebody_elses_broker_are_refused(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """What only its owner could do to it is said to be so."""
    broker = make_broker(kafka.bootstrap_servers, tmp_path)
    for fault, word in ((broker.kill, "killed"), (broker.pause, "paused"), (broker.resume, "resumed")):
        with pytest.raises(BrokerUnavailable, match=f"cannot be {word} from here: use --kafka embedded"):
            fault()


def test_tls_and_a_password_are_passed_through(secured: OwnBroker) -> None:
    """The settings of a client.properties file open a SASL_SSL listener."""
    assert secured.sasl_ssl_bootstrap_servers is not None
    ExternalBroker(connection(secured.sasl_ssl_bootstrap_servers, secured.client_properties)).start()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("alice-secret", "wrong"), "does not let 'alice' in: check sasl.mechanism, sasl.username and sasl.password"),
        (("sasl.mechanism=PLAIN", "sasl.mechanism=SCRAM-SHA-256"), "does not let 'alice' in"),
        (("security.protocol=SASL_SSL", "security.protocol=SASL_PLAINTEXT"), "does not answer as Kafka does"),
        (("ca.pem", "none.pem"), "The TLS files for Kafka cannot be used"),
    ],
    ids=["wrong password", "wrong mechanism", "no TLS", "no such file"],
)
def test_wrong_security_settings(secured: OwnBroker, change: tuple[str, str], told: str) -> None:
    """Each wrong setting is told apart."""
    assert secured.sasl_ssl_bootstrap_servers is not None
    assert told in refusal(secured.sasl_ssl_bootstrap_servers, secured.client_properties.replace(*change))


def test_an_unknown_authority(secured: OwnBroker) -> None:
    """A certificate of an authority nobody named is not trusted, and the setting that names it is told."""
    assert secured.sasl_ssl_bootstrap_servers is not None
    sentence = refusal(secured.sasl_ssl_bootstrap_servers, "security.protocol=SSL\n")
    assert "is not trusted" in sentence
    assert "ssl.ca.location" in sentence


def test_tls_where_there_is_none(kafka: EmbeddedBroker) -> None:
    """TLS spoken to a plain listener is told as such."""
    sentence = refusal(kafka.bootstrap_servers, "security.protocol=SSL\n")
    assert "security.protocol" in sentence or "the right address" in sentence


def test_nobody_there() -> None:
    """A closed port is a cluster that does not run."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        assert refusal(address) == (
            f"No Kafka answers at {address} (connection refused): start it, or check the address."
        )


def test_something_else_there() -> None:
    """A server that speaks another language is not taken for Kafka."""
    with replaying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert "check the address" in refusal(address)


def test_a_kafka_older_than_4() -> None:
    """What Kafka 3.9.1 answers (recorded from one) is refused as too old."""
    with replaying(OLD_KAFKA) as address:
        assert "is too old: 4.0 or newer" in refusal(address)


def test_a_kafka_that_knows_not_even_the_question() -> None:
    """Error 35, unsupported version, is a very old Kafka."""
    with replaying(struct.pack(">hi", 35, 0)) as address:
        assert "is too old" in refusal(address)


async def test_a_kafka_4_that_was_not_upgraded(kafka: EmbeddedBroker) -> None:
    """Where transaction.version 2 is known but not finalized, the command that finalizes it is told."""
    host, port = kafka.bootstrap_servers.split(":")
    real, _ = entity_reader(ApiVersionsResponse)(await _ask(host, int(port), None), 0)
    features = tuple(each for each in real.finalized_features if each.name != "transaction.version")
    with replaying(_written(dataclasses.replace(real, finalized_features=features))) as address:
        assert "upgrade --feature transaction.version=2" in refusal(address)


def _written(answer: ApiVersionsResponse) -> bytes:
    body = io.BytesIO()
    entity_writer(ApiVersionsResponse)(body, answer)
    return body.getvalue()


def test_what_kafka_can_be(tmp_path: Path) -> None:
    """Anything but embedded, docker or an address is refused with the three."""
    with pytest.raises(BrokerUnavailable, match=r"takes embedded, docker or HOST:PORT"):
        make_broker("redpanda", tmp_path)


def test_no_docker_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine, --kafka docker is one sentence."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(BrokerUnavailable, match=r"No Docker engine can be used .*: start one, or use --kafka embedded"):
        make_broker("docker", tmp_path).start()


def test_no_testcontainers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package, which only developers have, the sentence says how to get it."""
    monkeypatch.setitem(sys.modules, "docker.errors", None)
    with pytest.raises(BrokerUnavailable, match="needs testcontainers: `pip install testcontainers`"):
        make_broker("docker", tmp_path).start()
