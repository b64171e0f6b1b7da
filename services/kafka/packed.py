"""Records to append, packed as Kafka writes them: what a batch is made of without a tuple for each record.

In:      records, one by one or as the native part packs them.
Out:     a sequence of Outgoing, unpacked where somebody looks at one.
Units:   bytes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from services.kafka.port import Outgoing
from services.native import native

if TYPE_CHECKING:
    from services._native import Packed as _Packed
elif native is not None:
    _Packed = native.Packed
else:

    class _Packed:
        """Without the native part nobody makes one."""


class Packed(_Packed, Sequence[Outgoing]):
    @overload
    def __getitem__(self, at: int) -> Outgoing: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Outgoing]: ...
    def __getitem__(self, at: int | slice) -> Outgoing | Sequence[Outgoing]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        return Outgoing(*self.unpacked(at if at >= 0 else len(self) + at))

    def append(self, record: Outgoing) -> None:
        self.pack(*record)

    def extend(self, records: Sequence[Outgoing]) -> None:
        if isinstance(records, Packed):
            self.take_in(records)
        else:
            for record in records:
                self.pack(*record)


Appending = list[Outgoing] | Packed  # records to append, while they are collected
