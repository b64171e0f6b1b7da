"""Cuts one partition's commands into slices that can be examined one after the other.

In:      each command's offset and its nodes: whatever ties it to other records (its identity, its key, its charge);
         after them each customer's intent, by its nodes.
Out:     the slice of a command, of a node, of an intent.
Units:   about `commands_per_slice` commands and intents a slice; what hangs together is never cut, however large it is.
Source:  union-find by halving paths (Tarjan, van Leeuwen). Two nodes that hash alike only make a slice larger than it
         need be.

Memory: 8 bytes for each node, 12 for each command, in arrays: ten million records are 2.7 million commands or 100 MB.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

BUCKETS: Final = 64  # sorted one by one, so that no long list is ever made
_NUMBER_BITS: Final = 28  # 268 million commands of one partition
_NODE_BITS: Final = 64 - _NUMBER_BITS
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1
_NODE_MASK: Final = (1 << _NODE_BITS) - 1


class Slices:
    """`add` every command in order of offset, then `add_intent` for each of them, then `cut`."""

    def __init__(self, commands_per_slice: int) -> None:
        self.count = 1
        self._size = commands_per_slice
        self._added = 0
        self._offsets = array("q")
        self._buckets = [array("Q") for _ in range(BUCKETS)]  # node and number of its command in one integer
        self._parents = array("I")
        self._slices = array("I")

    def add(self, offset: int, nodes: Iterable[int]) -> None:
        self._offsets.append(offset)
        self._add(nodes)

    def add_intent(self, nodes: Iterable[int]) -> None:
        self._add(nodes)

    def _add(self, nodes: Iterable[int]) -> None:
        number = self._added
        self._added += 1
        for node in nodes:
            mixed = _mixed(node)
            self._buckets[mixed % BUCKETS].append((mixed // BUCKETS & _NODE_MASK) << _NUMBER_BITS | number)

    def cut(self) -> None:
        """Join what hangs together, then fill one slice after the other, in order of the first command."""
        self._parents = array("I", range(self._added))
        for index, bucket in enumerate(self._buckets):
            self._buckets[index] = ordered = array("Q", sorted(bucket))
            last_node, last_number = -1, 0
            for packed in ordered:
                node, number = packed >> _NUMBER_BITS, packed & _NUMBER_MASK
                if node == last_node:
                    self._join(last_number, number)
                last_node, last_number = node, number
        self._fill()

    def _fill(self) -> None:
        sizes = array("I", bytes(4 * len(self._parents)))
        for number in range(len(self._parents)):
            sizes[self._root(number)] += 1
        self._slices = array("I", bytes(4 * len(self._parents)))
        current = filled = 0
        for number in range(len(self._parents)):
            root = self._root(number)
            if root == number:  # the first of its kind: roots are the smallest numbers
                if filled and filled + sizes[root] > self._size:
                    current, filled = current + 1, 0
                filled += sizes[root]
                self._slices[number] = current
            else:
                self._slices[number] = self._slices[root]
        self.count = current + 1

    def _root(self, number: int) -> int:
        parents = self._parents
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    def _join(self, one: int, other: int) -> None:
        first, second = self._root(one), self._root(other)
        if first != second:
            self._parents[max(first, second)] = min(first, second)

    def of_command(self, offset: int) -> int | None:
        at = bisect_left(self._offsets, offset)
        return self._slices[at] if at < len(self._offsets) and self._offsets[at] == offset else None

    def of_intent(self, index: int) -> int:
        """The slice of the intent that was added as the `index`th, from 0."""
        return self._slices[len(self._offsets) + index]

    def of_node(self, node: int) -> int | None:
        mixed = _mixed(node)
        bucket = self._buckets[mixed % BUCKETS]
        wanted = (mixed // BUCKETS & _NODE_MASK) << _NUMBER_BITS
        at = bisect_left(bucket, wanted)
        if at < len(bucket) and bucket[at] >> _NUMBER_BITS == wanted >> _NUMBER_BITS:
            return self._slices[bucket[at] & _NUMBER_MASK]
        return None


def _mixed(node: int) -> int:
    """Python's hashes of strings are even enough, but may be negative."""
    return node & 0xFFFFFFFFFFFFFFFF
