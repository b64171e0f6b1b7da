"""Decide whether a `traceparent` header is one, before it is copied onto the log.

Source:  W3C Trace Context, section 3.2: version 00 has exactly these four fields; later versions may append
         more; version ff and all-zero ids are invalid, and an invalid header is dropped as if it had not
         come.
"""

import re
from collections.abc import Sequence

_TRACEPARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<more>-[\x21-\x7e]*)?\Z"
)
_LONGEST = 512  # of a later version's; this one has 55 bytes


def valid_traceparent(values: Sequence[bytes]) -> bytes | None:
    """The one valid traceparent among the header's values, else None."""
    if len(values) != 1 or len(values[0]) > _LONGEST:
        return None
    match = _TRACEPARENT.match(values[0])
    if match is None or (match["version"] == b"00" and match["more"] is not None):
        return None
    return values[0]
