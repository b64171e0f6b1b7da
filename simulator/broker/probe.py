"""Ask a plain-text listener whether it serves, in one short-lived connection.

In:      HOST, PORT, a time limit in seconds.
Out:     whether Metadata names a broker; a listener accepts connections long before that.
Errors:  none: anything but the right answer is False.
Source:  Kafka protocol guide, Metadata v1. Written by hand since it is 20 bytes, asked many times during every start,
         while importing kio costs more than the question.
"""

import socket
import struct

_CLIENT_ID = b"payonce-probe"
# length, api key 3, version 1, correlation id 1, client id, no topics
_REQUEST = struct.pack(f">hhih{len(_CLIENT_ID)}si", 3, 1, 1, len(_CLIENT_ID), _CLIENT_ID, 0)
_FRAME = struct.pack(">i", len(_REQUEST)) + _REQUEST
_ANSWER = struct.Struct(">iii")  # length, correlation id, number of brokers


def serves(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """True once the cluster's metadata names a broker that clients can be sent to."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(_FRAME)
            start = b""
            while len(start) < _ANSWER.size:
                received = connection.recv(4096)
                if not received:
                    return False
                start += received
    except OSError:
        return False
    _, correlation_id, brokers = _ANSWER.unpack_from(start)
    return bool(correlation_id == 1 and brokers > 0)
