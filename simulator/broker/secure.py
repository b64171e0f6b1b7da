"""A listener that wants TLS and a password, for tests of clients that must speak both.

In:      a key store and a trust store as PEM files, one user and a password.
Out:     the broker settings of that listener.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SaslSsl:
    """What one SASL_SSL listener needs: certificate and key in one PEM file (PKCS#8), and who may come in."""

    certificate_and_key: Path
    username: str
    password: str
    mechanism: str = "PLAIN"

    def broker_settings(self, listener: str) -> Mapping[str, str]:
        """Settings of the listener with this (lower-case) name."""
        prefix = f"listener.name.{listener}"
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        return {
            f"{prefix}.ssl.keystore.type": "PEM",
            f"{prefix}.ssl.keystore.location": str(self.certificate_and_key),
            f"{prefix}.sasl.enabled.mechanisms": self.mechanism,
            f"{prefix}.plain.sasl.jaas.config": (
                f'{plain} required username="{self.username}" password="{self.password}" '
                f'user_{self.username}="{self.password}";'
            ),
        }
