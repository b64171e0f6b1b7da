"""How to reach a Kafka cluster: addresses, TLS, SASL.

In:      HOST:PORT[,HOST:PORT...] and, where the cluster asks for it, the text of a `client.properties` file.
Out:     KafkaConnection.
Errors:  InvalidConnection, one sentence.
Source:  the names are librdkafka's (CONFIGURATION.md), which people have in files already. Reads no file itself.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

_FIELDS: Final = {
    "security.protocol": "protocol",
    "sasl.mechanism": "mechanism",
    "sasl.mechanisms": "mechanism",
    "sasl.username": "username",
    "sasl.password": "password",
    "ssl.ca.location": "ca_file",
    "ssl.certificate.location": "cert_file",
    "ssl.key.location": "key_file",
    "ssl.endpoint.identification.algorithm": "verify_hostname",
}

_ANOTHER_NAME: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH


class InvalidConnection(ValueError):
    """An address or a setting that cannot be meant."""


class KafkaConnection(BaseModel):
    model_config = ConfigDict(frozen=True)

    bootstrap_servers: tuple[str, ...]
    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify_hostname: bool = True

    @property
    def bootstrap(self) -> str:
        return ",".join(self.bootstrap_servers)

    @property
    def uses_tls(self) -> bool:
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def uses_sasl(self) -> bool:
        return self.protocol in ("SASL_PLAINTEXT", "SASL_SSL")


def parse_bootstrap(text: str) -> tuple[str, ...]:
    """`a:9092,b:9092` as a tuple; raises InvalidConnection."""
    servers = tuple(part.strip() for part in text.split(",") if part.strip())
    for server in servers:
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise InvalidConnection(f"{server!r} is not HOST:PORT; write for example 127.0.0.1:9092.")
    if not servers:
        raise InvalidConnection("No Kafka address was given; write for example 127.0.0.1:9092.")
    return servers


def parse_client_properties(text: str) -> dict[str, str | bool]:
    """The members of KafkaConnection that a client.properties text sets; raises InvalidConnection."""
    found: dict[str, str | bool] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", "!")):
            continue
        name, separator, value = (part.strip() for part in stripped.partition("="))
        if not separator or name not in _FIELDS:
            raise InvalidConnection(
                f"Line {number}: {name!r} is not a setting known here; known are {', '.join(sorted(_FIELDS))}."
            )
        field = _FIELDS[name]
        found[field] = value.lower() not in ("", "none") if field == "verify_hostname" else value
    return found


def connection(bootstrap: str, properties: str | None = None) -> KafkaConnection:
    """The connection that an address list and a client.properties text describe; raises InvalidConnection."""
    given = parse_client_properties(properties) if properties is not None else {}
    try:
        made = KafkaConnection.model_validate({"bootstrap_servers": parse_bootstrap(bootstrap), **given})
    except ValueError as error:
        if isinstance(error, InvalidConnection):
            raise
        raise InvalidConnection(f"The Kafka security settings are not valid: {_first(error)}.") from None
    if made.uses_sasl and (made.mechanism is None or made.username is None or made.password is None):
        raise InvalidConnection("SASL needs sasl.mechanism, sasl.username and sasl.password.")
    return made


def login_refused(address: str, connection: KafkaConnection) -> str:
    """The sentence for a broker that takes the password not, or not by this mechanism."""
    return (
        f"The Kafka at {address} does not let {connection.username!r} in: check sasl.mechanism, sasl.username and "
        "sasl.password in the file of --kafka-security."
    )


def certificate_refused(address: str, verify_code: int, reason: str) -> str:
    """The sentence for a certificate that does not verify; code and reason are OpenSSL's."""
    said = reason.rstrip(".")
    if verify_code in _ANOTHER_NAME:
        return (
            f"The certificate of the Kafka at {address} is for another name ({said}): use a name that it is for, or "
            "set ssl.endpoint.identification.algorithm=none in the file of --kafka-security."
        )
    return (
        f"The certificate of the Kafka at {address} is not trusted ({said}): "
        "name its authority with ssl.ca.location in the file of --kafka-security."
    )


def _first(error: ValueError) -> str:
    errors = getattr(error, "errors", None)
    first = errors()[0] if errors else {"loc": (), "msg": str(error)}
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
