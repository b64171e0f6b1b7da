"""What travels between a Kafka client and a broker: frames, and as much of a request as a rule asks about.

In:      bytes as they come.
Out:     whole frames; the header of a request; its body and a broker's answer, decoded when somebody asks.
Units:   bytes.
Errors:  ValueError for what is no frame of Kafka's.
Source:  Kafka's wire format: each frame is a length and a message; a request names its API, version and client id.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from kio.index import load_request_schema, load_response_schema
from kio.schema.index import api_key_map
from kio.serial import entity_reader
from kio.static.protocol import RequestPayload, ResponsePayload

FRAME_MAX: Final = 100 * 1024 * 1024  # a broker's own socket.request.max.bytes
_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it passed: `body` decodes it, for whoever wants to look inside."""

    name: str
    version: int
    client_id: str
    correlation_id: int
    api_key: int
    frame: bytes  # without its length
    header_end: int  # without the tags that flexible versions have

    def body(self) -> RequestPayload:
        schema = load_request_schema(self.api_key, self.version)
        request, _ = entity_reader(schema)(self.frame, self.header_end + (1 if schema.__flexible__ else 0))
        return request

    def answer(self, frame: bytes) -> ResponsePayload:
        """A broker's answer to this request, decoded; the frame is without its length."""
        response = load_response_schema(self.api_key, self.version)
        _, size = entity_reader(response.__header_schema__)(frame, 0)
        answer, _ = entity_reader(response)(frame, size)
        return answer


class FrameSplitter:
    """Bytes of one direction, cut where frames end; what has not ended yet waits for its rest."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The frames that are whole now, with their lengths."""
        if not self._rest and _whole(received) == len(received):  # as nearly always: nothing is copied
            yield received
            return
        self._rest += received
        at = 0
        while 0 < (size := _whole(self._rest, at)) <= len(self._rest) - at:
            yield bytes(self._rest[at : at + size])
            at += size
        del self._rest[:at]


def _whole(received: bytes | bytearray, at: int = 0) -> int:
    """How long the frame that begins here is, with its length; 0 while that is not known."""
    if len(received) - at < _SIZE:
        return 0
    (size,) = struct.unpack_from(">i", received, at)
    if not 0 <= size <= FRAME_MAX:
        raise ValueError(f"a frame of {size} bytes is not Kafka's")
    return _SIZE + int(size)


def unwrapped(frame: bytes) -> bytes:
    """A frame without its length."""
    return frame[_SIZE:]


def wrapped(message: bytes) -> bytes:
    """A message as a frame, with its length."""
    return struct.pack(">i", len(message)) + message


def parse_request(message: bytes) -> SeenRequest:
    """The header of one request; its body is decoded only when somebody asks."""
    try:
        api_key, version, correlation_id, length = struct.unpack_from(">hhih", message)
    except struct.error as error:
        raise ValueError("a message without a header is no request of Kafka's") from error
    at = 10 + max(0, length)
    client_id = message[10:at].decode(errors="replace")
    return SeenRequest(_name(api_key), version, client_id, correlation_id, api_key, message, at)


@cache
def _name(api_key: int) -> str:
    """`EndTxn`, as Kafka's documentation has it."""
    return "".join(part.title() for part in api_key_map.get(api_key, f"unknown_{api_key}").split("_"))
