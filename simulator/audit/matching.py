"""Strikes off what must be on the log against what is there, in order.

In:      records that are due, each with the number of the command that causes it; records that were found.
Out:     `late`: the commands whose record is not there, or not in its place; `strays`: records that nobody is due;
         `owners`: of every record that was found, in order, its command or NOBODY.
Units:   at most LIMIT records wait on either side; what has waited longest is given up first.

Where both sides are the same, as one processor leaves them, whole lists are compared at once.
"""

from array import array
from collections.abc import Sequence
from typing import Final

LIMIT: Final = 20_000
NOBODY: Final = (1 << 32) - 1

Pair = tuple[bytes | None, bytes | None]  # key and value


class Matching:
    def __init__(self) -> None:
        self._due: list[Pair] = []
        self._owners: list[int] = []
        self._found: list[Pair] = []
        self.owners = array("I")
        self.late: list[int] = []
        self.strays: list[Pair] = []

    @property
    def waits(self) -> bool:
        """Whether records are due that have not come, and there is room for more."""
        return bool(self._due) and len(self._found) < LIMIT // 2

    def due(self, key: bytes, value: bytes, owner: int) -> None:
        self._due.append((key, value))
        self._owners.append(owner)

    def found(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        self._found += zip(keys, values, strict=True)
        self.strike()

    def strike(self) -> None:
        due, found = self._due, self._found
        both = min(len(due), len(found))
        if due[:both] == found[:both]:
            self.owners.extend(self._owners[:both])
            del due[:both], self._owners[:both], found[:both]
        else:
            self._strike_what_follows_in_order()
        self._give_up()

    def _strike_what_follows_in_order(self) -> None:
        """What is passed over on either side by what came after it is not waited for any longer."""
        due, owners, found = self._due, self._owners, self._found
        places = {pair: place for place, pair in enumerate(due)}
        next_due = next_found = 0
        for place, pair in enumerate(found):
            at = places.get(pair, -1)
            if at >= next_due:
                self.late += owners[next_due:at]
                self._stray(found[next_found:place])
                self.owners.append(owners[at])
                next_due, next_found = at + 1, place + 1
        del due[:next_due], owners[:next_due], found[:next_found]

    def _give_up(self) -> None:
        if len(self._due) > LIMIT:
            surplus = len(self._due) - LIMIT
            self.late += self._owners[:surplus]
            del self._due[:surplus], self._owners[:surplus]
        if len(self._found) > LIMIT:
            surplus = len(self._found) - LIMIT
            self._stray(self._found[:surplus])
            del self._found[:surplus]

    def finish(self) -> None:
        """Nothing is due any more, and nothing will be found."""
        self.strike()
        self.late += self._owners
        self._stray(self._found)
        self._due, self._owners, self._found = [], [], []

    def _stray(self, pairs: Sequence[Pair]) -> None:
        self.strays += pairs
        self.owners.extend([NOBODY] * len(pairs))
