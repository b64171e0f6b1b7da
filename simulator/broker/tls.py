"""What a client needs to speak TLS to a cluster that is not ours.

In:      KafkaConnection.
Out:     an SSLContext; None where the cluster speaks plainly.
Errors:  AccessRefused when a file that was named cannot be used.
"""

import ssl

from events.connection import KafkaConnection
from simulator.broker.errors import AccessRefused


def tls_context(connection: KafkaConnection) -> ssl.SSLContext | None:
    """Trusts the authority that was named, else the system's; shows our certificate where there is one."""
    if not connection.uses_tls:
        return None
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
        if connection.cert_file:
            context.load_cert_chain(connection.cert_file, connection.key_file)
    except OSError as error:  # ssl.SSLError is one
        named = connection.ca_file or connection.cert_file
        raise AccessRefused(f"The TLS files for Kafka cannot be used ({named}: {error.strerror or error}).") from error
    context.check_hostname = connection.verify_hostname
    return context
