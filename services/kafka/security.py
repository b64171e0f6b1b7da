"""How to reach a cluster: one KafkaConnection in the words of aiokafka's clients.

In:      KafkaConnection (events), as read from a librdkafka-style properties file.
Out:     the keyword arguments that every aiokafka client and connection takes.
Errors:  Unfit when a certificate file cannot be read.
"""

import ssl
from typing import Any

from events.connection import KafkaConnection
from services.kafka.errors import Unfit


def bootstrap(connection: KafkaConnection) -> list[str]:
    return list(connection.bootstrap_servers)


def security(connection: KafkaConnection) -> dict[str, Any]:
    """`security_protocol`, `ssl_context` and the SASL arguments, for AIOKafkaConsumer and its like."""
    arguments: dict[str, Any] = {
        "security_protocol": connection.protocol,
        "ssl_context": _ssl_context(connection) if connection.protocol in ("SSL", "SASL_SSL") else None,
    }
    if connection.protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
        arguments |= {
            "sasl_mechanism": connection.mechanism,
            "sasl_plain_username": connection.username,
            "sasl_plain_password": connection.password,
        }
    return arguments


def _ssl_context(connection: KafkaConnection) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
        if connection.cert_file is not None:
            context.load_cert_chain(connection.cert_file, connection.key_file)
    except (OSError, ssl.SSLError) as error:
        named = connection.ca_file or connection.cert_file
        raise Unfit(f"The TLS files for Kafka cannot be used ({named}: {error.strerror or error}).") from error
    context.check_hostname = connection.verify_hostname
    return context
