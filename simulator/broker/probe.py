"""Ask a plain-text Kafka listener whether it serves, in one short-lived connection.

In:      HOST, PORT, a time limit in seconds.
Out:     `serves`: whether Metadata names a broker (a listener accepts connections long before that).
Errors:  `serves` has none: anything but the right answer is False.
Source:  Kafka protocol guide; messages by kio, generated from Kafka's own schemas.
"""

import io
import socket
import struct
from typing import Any

from kio.schema.metadata.v12.request import MetadataRequest
from kio.schema.metadata.v12.response import MetadataResponse
from kio.schema.request_header.v2.header import RequestHeader
from kio.serial import entity_reader, entity_writer
from kio.static.primitive import i16, i32

_write_header = entity_writer(RequestHeader)
_write_metadata = entity_writer(MetadataRequest)
_read_metadata = entity_reader(MetadataResponse)


def request_frame(api_key: int, version: int, write: Any, request: Any) -> bytes:
    """A whole request as it goes over the wire, its length in front."""
    body = io.BytesIO()
    _write_header(
        body,
        RequestHeader(
            request_api_key=i16(api_key),
            request_api_version=i16(version),
            correlation_id=i32(1),
            client_id="payonce-probe",
        ),
    )
    write(body, request)
    return struct.pack(">i", body.tell()) + body.getvalue()


def receive(connection: socket.socket) -> bytes:
    """One response without its length and correlation id."""
    (length,) = struct.unpack(">i", _exactly(connection, 4))
    return _exactly(connection, length)[4:]


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        chunk = connection.recv(count - len(received))
        if not chunk:
            raise ConnectionError("the broker hung up")
        received += chunk
    return bytes(received)


def serves(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """True once the cluster's metadata names a broker that clients can be sent to."""
    request = MetadataRequest(
        topics=(), allow_auto_topic_creation=False, include_topic_authorized_operations=False
    )
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(request_frame(3, 12, _write_metadata, request))
            answer, _ = _read_metadata(receive(connection)[1:], 0)  # behind the header's empty tagged fields
    except (OSError, ValueError, struct.error):
        return False
    return len(answer.brokers) > 0
