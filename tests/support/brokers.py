"""Brokers of a test's own, for tests that kill, pause or configure one.

`own_broker()` is a context manager; what it yields is an OwnBroker that serves. Tests that only need some Kafka
take the `kafka` fixture, shared by the whole session, and a `namespace` of their own.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.java import JvmProfile
from simulator.broker.secure import SaslSsl
from tests.support.certificates import make_certificates


class OwnBroker(EmbeddedBroker):
    """An embedded broker that knows how clients pass its SASL_SSL listener."""

    ca_file: Path | None = None
    username: str | None = None
    password: str | None = None

    @property
    def client_properties(self) -> str:
        """The text of a client.properties file for `sasl_ssl_bootstrap_servers`."""
        return (
            f"security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\nssl.ca.location={self.ca_file}\n"
            f"sasl.username={self.username}\nsasl.password={self.password}\n"
        )


@contextmanager
def own_broker(
    *,
    proxy_address: str | None = None,
    sasl_ssl: bool = False,
    extra_settings: Mapping[str, str] | None = None,
    profile: JvmProfile = "quick",
) -> Iterator[OwnBroker]:
    """A broker of this test alone: started, and gone afterwards with all it wrote.

    With sasl_ssl it has a listener `sasl_ssl_bootstrap_servers` besides, and says ca_file, username, password.
    """
    with tempfile.TemporaryDirectory(prefix="payonce-broker-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        certificates = make_certificates(folder) if sasl_ssl else None
        secure = SaslSsl(certificates.server_file, "alice", "alice-secret") if certificates else None
        broker = OwnBroker(
            folder / "broker",
            proxy_address=proxy_address,
            sasl_ssl=secure,
            extra_settings=extra_settings,
            profile=profile,
        )
        if certificates and secure:
            broker.ca_file, broker.username, broker.password = (
                certificates.ca_file,
                secure.username,
                secure.password,
            )
        try:
            broker.start()
            yield broker
        finally:
            broker.kill()
            broker.close()
