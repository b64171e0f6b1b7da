"""A POST that has come whole, told from its bytes alone: so that it can be refused before anything is made for it.

In:      what a new connection has received so far.
Out:     the call it is, or None for whatever is not as plain as nearly all are: that goes the long way.
Source:  RFC 9112. A refusal promises nothing of the request but that nothing was sent for it; so what a parser would
         find wrong with its other headers does not matter here, only where it ends.
"""

import re
from typing import Final

from services.gateway import routes

BYTES_MAX: Final = 64 * 1024  # of head and body
# Each part ends where the next begins: linear in whatever was received.
_WHOLE: Final = re.compile(
    rb"POST (?P<path>/[!->@-~]*)(?:\?[!-~]*)? HTTP/1\.1\r\n(?P<fields>(?:[^\r\n]+\r\n)+)\r\n(?P<body>.*)\Z", re.DOTALL
)
# What says something else of where it ends, or of what becomes of the connection.
_NOT_PLAIN: Final = re.compile(
    rb"^(?:transfer-encoding|expect|upgrade|connection)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*([0-9]{1,9})[ \t]*\r$", re.IGNORECASE | re.MULTILINE)


def call_of(received: bytes) -> str | None:
    """The name of its route."""
    whole = _WHOLE.match(received)
    if whole is None or _NOT_PLAIN.search(whole["fields"]):
        return None
    lengths = _LENGTH.findall(whole["fields"])
    if len(lengths) != 1 or int(lengths[0]) != len(whole["body"]):
        return None
    match = routes.find(whole["path"]).get("POST")
    return match.route.name if match is not None else None
