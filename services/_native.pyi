"""The native part (native/src): what Python is too slow for. It may be missing; services.native says so."""

from collections.abc import Sequence
from typing import overload

from services.kafka import port
from services.kafka.port import Headers

class Packed:
    """Records to append, packed as Kafka writes them."""

    def __len__(self) -> int: ...
    def pack(self, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Append one record."""

    def take_in(self, other: Packed) -> None:
        """Append all records of another, which must not be this one."""

    def unpacked(self, at: int) -> tuple[bytes | None, bytes | None, Headers]:
        """Key, value and headers of one record; raises IndexError."""

    def batch(
        self,
        first: int,
        bytes_max: int,
        producer_id: int,
        epoch: int,
        base_sequence: int,
        transactional: bool,
        timestamp_ms: int,
    ) -> tuple[bytearray, int]:
        """A record batch of the records from `first` on, as many as fit but at least one, and how many."""

class Record:
    """One record as read: a port.Record."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...

class Records(Sequence[Record]):
    """What was fetched of one partition: a record is made of it when somebody looks."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> Records: ...
    @property
    def timestamp_max(self) -> int:
        """Of all records; raises IndexError where there is none."""

class Commands:
    """Records of one partition of `commands`, decoded where they are usual."""

    def __len__(self) -> int: ...
    @property
    def unusual(self) -> list[int]:
        """Indexes of the records that are left to Python."""

    @property
    def wanted(self) -> list[bytes]:
        """What the store must be asked for the others."""

class Turn:
    """One batch being settled, as services.processor.domain.settling.Turn."""

    position: int
    clock: int
    @property
    def writes(self) -> dict[bytes, bytes | None]: ...
    @property
    def executed(self) -> int: ...
    @property
    def replayed(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def expired(self) -> int: ...
    def take(self, commands: Commands, first: int) -> int:
        """Settle from `first` on; the index of the first that is left to Python, or how many there are."""

class Declarations:
    """Operations and events as services.processor.domain.declared writes them; raises ValueError."""

    def __new__(cls, text: bytes) -> Declarations: ...
    def read(self, records: Sequence[port.Record], partition: int, partitions: int, once: bool) -> Commands: ...
    def turn(
        self,
        namespace: str,
        window_ms: int,
        asks: tuple[bool, bool],  # whether the position, and whether the key record has a say
        standing: tuple[int, int],
        found: dict[bytes, bytes | None],
        records: tuple[Packed, Packed, Packed],  # of keys, charges and replies
    ) -> Turn: ...

def fetched(data: bytes, position: int, aborted: Sequence[tuple[int, int]]) -> tuple[Records, int] | None:
    """What is readable from `position` on, and where to read on; None where a batch of it is left to Python.

    `aborted` are first offsets and producer ids.
    """

def restored_keys(records: Records) -> dict[bytes, bytes | None]:
    """The store's writes that records of `keys` stand for."""

def restored_events(records: Sequence[port.Record], once: bool) -> dict[bytes, bytes | None] | None:
    """The store's writes that records of `charges` stand for; None where one of them is left to Python."""
