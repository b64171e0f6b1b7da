"""Mint the ids of commands that a load generator puts on the log itself: UUID version 7.

In:      the wall clock in Unix milliseconds.
Out:     the canonical lower-case text; 48 bits of time, 74 of chance.
Source:  RFC 9562, section 5.7; CONTRACT: one for each attempt. Chance is the operating system's, drawn once: ids
         must differ between runs of one seed on one log, and a draw for each would cost more than the rest.
"""

import os
from random import Random

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_A = 0xFFF << 64
_RANDOM_B = (1 << 62) - 1


class CommandIds:
    def __init__(self) -> None:
        self._chance = Random(os.urandom(32))  # noqa: S311 - a name, not a secret

    def mint(self, now_ms: int) -> str:
        chance = self._chance.getrandbits(80)
        value = (now_ms & 0xFFFFFFFFFFFF) << 80 | _VERSION_7 | (chance & _RANDOM_A) | _VARIANT | (chance & _RANDOM_B)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
