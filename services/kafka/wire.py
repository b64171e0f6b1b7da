"""One connection to one broker that speaks kio's messages over aiokafka's sockets.

In:      a kio request.
Out:     its kio response.
Units:   milliseconds.
Errors:  Retriable: nothing was sent. Indefinite: sent, and no answer came. Unfit: TLS or SASL do not let us in.

aiokafka does what it does well: TCP, TLS, SASL, correlation ids, answers in order. Its own messages are
older than transaction.version 2 (TxnOffsetCommit v0, EndTxn v0, Produce v8), so ours come from kio.
"""

import asyncio
import io
import ssl
import struct
from collections.abc import Awaitable, Iterable
from typing import IO, Any, Final, Protocol, TypeVar, cast, runtime_checkable

from aiokafka import errors as aiokafka_errors
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.util import wait_for
from kio.schema.response_header.v0.header import ResponseHeader as ResponseHeaderV0
from kio.schema.response_header.v1.header import ResponseHeader as ResponseHeaderV1
from kio.serial import entity_reader, entity_writer
from kio.static.protocol import RequestPayload, ResponsePayload

from events.connection import KafkaConnection, certificate_refused, login_refused
from services.kafka.errors import Indefinite, Retriable, Unfit
from services.kafka.security import security

R = TypeVar("R", bound=ResponsePayload)

_LONG_BYTES: Final = 4 * 1024  # below it, a copy costs less than another piece
_REFUSED: Final = (
    aiokafka_errors.SaslAuthenticationFailed,
    aiokafka_errors.UnsupportedSaslMechanismError,
    aiokafka_errors.IllegalSaslStateError,
    ValueError,  # by SCRAM the broker has to prove that it knows the password, too
)


class _Header(Protocol):
    correlation_id: int


@runtime_checkable
class Packs(Protocol):
    """A request that writes itself, where kio would take too long."""

    def pieces(self) -> Iterable[bytes | bytearray]: ...


class _Pieces:
    """What kio writes into: what is long is kept as it came, so that a batch is not copied on its way to the socket."""

    __slots__ = ("length", "pieces")

    def __init__(self) -> None:
        self.pieces: list[bytes | bytearray] = [bytearray()]
        self.length = 0

    def write(self, data: bytes | bytearray) -> None:
        self.length += len(data)
        if len(data) >= _LONG_BYTES:
            self.pieces += (data, bytearray())
        else:
            self.pieces[-1] += data


class _Message:
    """A kio request, as AIOKafkaConnection expects those to be that wait for an answer."""

    __slots__ = ("RESPONSE_TYPE", "_body", "_flexible_response", "_request")

    def __init__(self, request: RequestPayload, response_type: type[Any]) -> None:
        self._request = request
        self._body = _Pieces()
        if isinstance(request, Packs):
            for piece in request.pieces():
                self._body.write(piece)
        else:
            entity_writer(type(request))(cast(IO[bytes], self._body), request)  # all that it asks for is `write`
        self._flexible_response = response_type.__header_schema__ is ResponseHeaderV1
        self.RESPONSE_TYPE = _Decoder(response_type)

    def frame(self, correlation_id: int, client_id: str) -> list[bytes | bytearray]:
        """All of it, length and header first, in pieces."""
        name = client_id.encode()
        head = struct.pack(">hhih", self._request.__api_key__, self._request.__version__, correlation_id, len(name))
        head += name + (b"\0" if self._request.__flexible__ else b"")
        return [struct.pack(">i", len(head) + self._body.length) + head, *(one for one in self._body.pieces if one)]

    def parse_response_header(self, frame: io.BytesIO) -> ResponseHeaderV0 | ResponseHeaderV1:
        header: type[ResponseHeaderV0] | type[ResponseHeaderV1]
        header = ResponseHeaderV1 if self._flexible_response else ResponseHeaderV0
        parsed, size = entity_reader(header)(frame.getvalue(), 0)
        frame.seek(size)
        return parsed

    def __repr__(self) -> str:
        return type(self._request).__name__


class _Decoder:
    __slots__ = ("_response_type",)

    def __init__(self, response_type: type[Any]) -> None:
        self._response_type = response_type

    def decode(self, frame: io.BytesIO) -> Any:
        response, _ = entity_reader(self._response_type)(frame.getvalue(), frame.tell())
        return response


class Wire:
    """A connection that opens at its first call, and again at the first call after it broke."""

    def __init__(
        self, host: str, port: int, connection: KafkaConnection, client_id: str, request_timeout_ms: int
    ) -> None:
        self.address = f"{host}:{port}"
        self._connection = connection
        self._arguments: dict[str, Any] = {
            "host": host,
            "port": port,
            "client_id": client_id,
            "request_timeout_ms": request_timeout_ms,
            **security(connection),
        }
        self._open: AIOKafkaConnection | None = None
        self._opening = asyncio.Lock()

    async def call(self, request: RequestPayload, response_type: type[R]) -> R:
        """Send and wait for the answer; raises Retriable only where nothing can have reached the broker."""
        message = _Message(request, response_type)
        live = await self._connected()
        try:
            answer: R = await _send(live, message)
        except (aiokafka_errors.KafkaError, OSError, TimeoutError) as error:
            live.close()
            raise Indefinite(f"{self.address} did not answer {message!r}: {error or 'time-out'}") from error
        return answer

    async def versions(self) -> dict[int, tuple[int, int]]:
        """The lowest and highest version of each request that the broker serves."""
        live = await self._connected()
        served: dict[int, tuple[int, int]] = live._versions
        return served

    @property
    def lost(self) -> bool:
        """It was open, and is not any more, though nobody closed it."""
        return self._open is not None and not self._open.connected()

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    async def _connected(self) -> AIOKafkaConnection:
        async with self._opening:
            if self._open is None or not self._open.connected():
                self._open = await self._connect()
            return self._open

    async def _connect(self) -> AIOKafkaConnection:
        fresh = AIOKafkaConnection(**self._arguments)
        try:
            await fresh.connect()
        except ssl.SSLCertVerificationError as error:
            raise Unfit(certificate_refused(self.address, error.verify_code, error.verify_message)) from error
        except _REFUSED as error:
            raise Unfit(login_refused(self.address, self._connection)) from error
        except (aiokafka_errors.KafkaError, OSError, TimeoutError) as error:
            fresh.close()
            raise Retriable(f"cannot connect to Kafka at {self.address}: {error or 'time-out'}") from error
        return fresh


def _send(live: AIOKafkaConnection, message: _Message) -> Awaitable[Any]:
    """As AIOKafkaConnection.send, which would join header and body, and both with their length: megabytes, twice."""
    correlation_id = live._next_correlation_id()
    try:
        live._writer.writelines(message.frame(correlation_id, live._client_id))
    except (OSError, RuntimeError) as error:  # the latter is uvloop's word for a connection that was reset
        live.close(reason=CloseReason.CONNECTION_BROKEN)
        raise aiokafka_errors.KafkaConnectionError(f"connection broken: {error}") from error
    answered = live._loop.create_future()
    live._requests.append((correlation_id, message, answered))
    answer: Awaitable[Any] = wait_for(answered, live._request_timeout)
    return answer
