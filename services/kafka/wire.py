"""One connection to one broker: opened by aiokafka, spoken to in messages that are newer than its own.

In:      a question.
Out:     its answer.
Units:   milliseconds.
Errors:  Retriable: nothing was sent. Indefinite: sent, and no answer came. Unfit: TLS or SASL do not let us in.

aiokafka does what it does well: TCP, TLS, SASL. Its own messages are older than transaction.version 2
(TxnOffsetCommit v0, EndTxn v0, Produce v8), so ours come from kio, or are written by hand (services.kafka.question).
"""

import asyncio
import ssl
import struct
from typing import Any, Final, TypeVar

from aiokafka import errors as aiokafka_errors
from aiokafka.conn import AIOKafkaConnection
from kio.serial.errors import SerialError

from events.connection import KafkaConnection, certificate_refused, login_refused
from services.kafka.errors import Indefinite, Retriable, Unfit
from services.kafka.line import Line
from services.kafka.question import NO_TAGS, Piece, Question, body_at
from services.kafka.security import security

A = TypeVar("A")

_LENGTH: Final = 4  # bytes that say how long the rest of a message is
_HEAD: Final = struct.Struct(">ihhih")  # length, request, its version, correlation id, length of the client's name
_LONG_BYTES: Final = 4 * 1024  # below it, a copy costs less than another piece
_UNREADABLE: Final = (SerialError, struct.error, LookupError, ValueError)
_REFUSED: Final = (
    aiokafka_errors.SaslAuthenticationFailed,
    aiokafka_errors.UnsupportedSaslMechanismError,
    aiokafka_errors.IllegalSaslStateError,
    ValueError,  # by SCRAM the broker has to prove that it knows the password, too
)


class Wire:
    """A connection that opens at its first call, and again at the first call after it broke."""

    def __init__(
        self, host: str, port: int, connection: KafkaConnection, client_id: str, request_timeout_ms: int
    ) -> None:
        self.where = (host, port)
        self.address = f"{host}:{port}"
        self._connection = connection
        self._arguments: dict[str, Any] = {
            "host": host,
            "port": port,
            "client_id": client_id,
            "request_timeout_ms": request_timeout_ms,
            **security(connection),
        }
        self._client_id = client_id.encode()
        self._client_id_length = len(self._client_id)
        self._line: Line | None = None
        self._opening = asyncio.Lock()

    async def call(self, question: Question[A]) -> A:
        """Send and wait for the answer; raises Retriable only where nothing can have reached the broker."""
        line = self._line
        if line is None or line.is_closed:
            line = await self._connected()
        correlation_id = line.next_id()
        message = self._message(correlation_id, question)
        try:
            frame = await line.send(correlation_id, message)
            return question.read(frame, body_at(frame, _LENGTH, is_flexible=question.is_answer_flexible))
        except (OSError, *_UNREADABLE) as error:
            line.close(error)
            raise Indefinite(f"{self.address} did not answer {question!r}: {error}") from error

    async def versions(self) -> dict[int, tuple[int, int]]:
        """The lowest and highest version of each request that the broker serves."""
        return (await self._connected()).versions

    @property
    def lost(self) -> bool:
        """It was open, and is not any more, though nobody closed it."""
        return self._line is not None and self._line.is_closed

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _message(self, correlation_id: int, question: Question[Any]) -> list[Piece]:
        """All of it, length and header first; what is long is a piece of its own, what is short is joined."""
        head = self._client_id + NO_TAGS if question.is_flexible else self._client_id
        short = bytearray(_HEAD.size) + head
        first = short
        pieces: list[Piece] = [first]
        length = 0
        for piece in question.pieces():
            if len(piece) >= _LONG_BYTES:
                length += len(short) + len(piece)
                short = bytearray()
                pieces += (piece, short)
            else:
                short += piece
        length += len(short)
        if not short:
            pieces.pop()
        named = self._client_id_length
        _HEAD.pack_into(first, 0, length - _LENGTH, question.api_key, question.version, correlation_id, named)
        return pieces

    async def _connected(self) -> Line:
        async with self._opening:
            if self._line is None or self._line.is_closed:
                self._line = Line(await self._connect())
            return self._line

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
