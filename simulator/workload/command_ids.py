"""Mint the ids of commands that a load generator puts on the log itself: UUID version 7.

In:      the wall clock in Unix milliseconds.
Out:     the canonical lower-case text; 48 bits of time, 74 of chance.
Source:  RFC 9562, section 5.7; CONTRACT: one for each attempt. Chance is the operating system's, drawn once: ids
         must differ between runs of one seed on one log, and a draw for each would cost more than the rest.
"""

import os
from random import Random

_BITS = 76  # 12 of chance, 2 of the variant, 62 of chance: the last 19 of the 32 digits
_VARIANT, _VARIANT_MASK = 0b10 << 62, ~(0b11 << 62)


class CommandIds:
    def __init__(self) -> None:
        self._chance = Random(os.urandom(32))  # noqa: S311 - a name, not a secret
        self._at = -1
        self._head = ""

    def mint(self, now_ms: int) -> str:
        if now_ms != self._at:
            digits = f"{now_ms & 0xFFFFFFFFFFFF:012x}"
            self._at, self._head = now_ms, f"{digits[:8]}-{digits[8:]}-7"
        text = f"{self._chance.getrandbits(_BITS) & _VARIANT_MASK | _VARIANT:019x}"
        return f"{self._head}{text[:3]}-{text[3:7]}-{text[7:]}"
