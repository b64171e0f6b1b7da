"""Memory that a batch has used is kept for the next one.

Batches are megabytes, and come many times a second. By default glibc gives such pieces back to the system at once
and is given them again page by page, each zeroed first: 3 to 4 us of system time a command, of 6.4
(docs/measurements.md, "processor").

Units:   bytes.
Errors:  none: with another C library everything stays as it is.
"""

import ctypes
from typing import Final

# From glibc's malloc.h; mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
MMAP_THRESHOLD_BYTES: Final = 32 * 1024 * 1024  # the most that glibc takes
TRIM_THRESHOLD_BYTES: Final = 64 * 1024 * 1024  # of free memory at the top; what is beyond goes back
_TOP_PAD_BYTES: Final = 4 * 1024 * 1024


def keep_freed_memory() -> bool:
    """Whether the C library was told."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    wanted = (
        (_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES),
        (_M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES),
        (_M_TOP_PAD, _TOP_PAD_BYTES),
    )
    return all(mallopt(parameter, value) == 1 for parameter, value in wanted)
