"""What a broker is asked, and how its answer is read: by kio, or by hand where kio would take too long.

In:      the values of one request.
Out:     the pieces of its body; what the body of its answer says.
Units:   bytes.
Errors:  struct.error, LookupError, ValueError and kio's SerialError for an answer that is not what it should be.
Source:  kafka.apache.org/protocol, "Protocol Primitive Types". kio checks and writes each number with a call of its
         own. Of a small Kafka transaction's time that was more than all that is decided in it.

What is written by hand reads the usual answer by hand, too, and leaves to kio any that has more in it than that.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import lru_cache
from typing import IO, Any, ClassVar, Final, Generic, TypeVar, cast

from kio.schema.response_header.v1.header import ResponseHeader as FlexibleHeader
from kio.serial import entity_reader, entity_writer
from kio.static.protocol import RequestPayload

A = TypeVar("A")

Piece = bytes | bytearray

NO_TAGS: Final = b"\0"
NULL: Final = b"\0"


class Question(ABC, Generic[A]):
    """One request and the way to read its answer; the class variables are kio's of that request."""

    __slots__ = ()

    api_key: int
    version: int
    is_flexible: bool
    is_answer_flexible: bool

    @abstractmethod
    def pieces(self) -> Iterable[Piece]:
        """The body in order; what is long is a piece of its own, and is not copied on its way to the socket."""

    @abstractmethod
    def read(self, frame: bytes, at: int) -> A:
        """The answer whose body begins there."""


class ByHand(Question[A]):
    """Always of a flexible version, as kio's request of that version has it."""

    __slots__ = ()

    kio: ClassVar[Any]  # the request that this one is
    is_flexible = True
    is_answer_flexible = True

    def __init_subclass__(cls) -> None:
        cls.api_key, cls.version = int(cls.kio.__api_key__), int(cls.kio.__version__)

    def __repr__(self) -> str:
        return str(self.kio.__name__)


class ByKio(Question[A]):
    __slots__ = ("_request", "_response_type", "api_key", "is_answer_flexible", "is_flexible", "version")

    def __init__(self, request: RequestPayload, response_type: type[Any]) -> None:
        self._request = request
        self._response_type = response_type
        self.api_key, self.version = int(request.__api_key__), int(request.__version__)
        self.is_flexible = request.__flexible__
        self.is_answer_flexible = response_type.__header_schema__ is FlexibleHeader

    def pieces(self) -> Iterable[Piece]:
        written = _Written()
        entity_writer(type(self._request))(cast(IO[bytes], written), self._request)  # all that it asks for is `write`
        return written.pieces

    def read(self, frame: bytes, at: int) -> A:
        answer: A = by_kio(self._response_type, frame, at)
        return answer

    def __repr__(self) -> str:
        return type(self._request).__name__


class _Written:
    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def write(self, data: Piece) -> None:
        self.pieces.append(data)


def by_kio(response_type: type[Any], frame: bytes, at: int) -> Any:
    answer, _ = entity_reader(response_type)(frame, at)
    return answer


def body_at(frame: bytes, at: int, *, is_flexible: bool) -> int:
    """Where the body begins behind the response header that begins there."""
    if not is_flexible:
        return at + 4
    if frame[at + 4] == 0:  # no tags
        return at + 5
    _, size = entity_reader(FlexibleHeader)(frame, at)
    return at + int(size)


@lru_cache(maxsize=1024)
def compact(text: str) -> bytes:
    """A string, its length first. The names that are asked about are few and always the same."""
    encoded = text.encode()
    return varint(len(encoded) + 1) + encoded


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    if number <= 0x7F:
        return _SHORT[number]
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


_SHORT: Final = [bytes((one,)) for one in range(0x80)]


def read_varint(frame: bytes, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number = frame[at]
    at += 1
    if number <= 0x7F:
        return number, at
    number &= 0x7F
    shift = 7
    while (byte := frame[at]) > 0x7F:
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return number | byte << shift, at + 1


def read_compact(frame: bytes, at: int) -> tuple[str, int]:
    """The string that begins there, and where it ends."""
    length, at = read_varint(frame, at)
    ends_at = at + length - 1
    if length == 0 or ends_at > len(frame):
        raise ValueError("a string that is null or longer than its message")
    return frame[at:ends_at].decode(), ends_at
