"""Mint command ids: UUID version 7, the one place where the gateway's randomness enters the log.

In:      the wall clock in Unix milliseconds.
Out:     the canonical lower-case text; 48 bits of time, 74 bits from the operating system.
Source:  RFC 9562, section 5.7. Python has its own only from 3.14 on.
"""

import os

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_A = 0xFFF << 64
_RANDOM_B = (1 << 62) - 1


def mint(now_ms: int) -> str:
    """A new id; two of the same millisecond differ in their random bits, and have no order."""
    random = int.from_bytes(os.urandom(10))
    value = (now_ms & 0xFFFFFFFFFFFF) << 80 | _VERSION_7 | (random & _RANDOM_A) | _VARIANT | (random & _RANDOM_B)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
