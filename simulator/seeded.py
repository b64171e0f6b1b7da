"""The one place where chance comes from: a seed and a name give the same choices, every time.

Each thing that chooses has a name of its own, so that one more choice here moves none there.

Source:  `seeded` is Python's Mersenne Twister, which takes 4 µs to begin; `Chance` is a chain of BLAKE2b digests, which
         takes a tenth of a microsecond to begin and for each choice. So whatever chooses a few times in its life, and
         there are tens of thousands a second of it, has a `Chance`.
"""

from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from struct import Struct
from typing import Final, TypeVar

T = TypeVar("T")

_WORDS: Final = Struct("<8Q").unpack  # of one digest
_SHARE: Final = 2.0**-53  # a float has 53 bits of its own between 0 and 1


def seeded(*name: object) -> Random:
    return Random("/".join(map(str, name)))  # noqa: S311 - repeatable on purpose; no secret is made from it


class Chance:
    """A few choices by name; what it has of `random.Random`, it means the same by."""

    __slots__ = ("_digest", "_words")

    def __init__(self, name: str) -> None:
        self._digest = name.encode()
        self._words: list[int] = []

    def _word(self) -> int:
        if not self._words:
            self._digest = blake2b(self._digest).digest()
            self._words = list(_WORDS(self._digest))
        return self._words.pop()

    def random(self) -> float:
        """In [0, 1)."""
        return (self._word() >> 11) * _SHARE

    def uniform(self, least: float, most: float) -> float:
        return least + (most - least) * self.random()

    def randint(self, least: int, most: int) -> int:
        """Both ends included; at most 2^53 apart."""
        return least + int((most - least + 1) * self.random())

    def choice(self, among: Sequence[T]) -> T:
        return among[int(len(among) * self.random())]

    def bits(self, count: int) -> int:
        """A whole number below 2^count, a multiple of 64."""
        value = 0
        for _ in range(count // 64):
            value = value << 64 | self._word()
        return value
