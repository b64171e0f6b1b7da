"""Read an `Idempotency-Key` header: quoted or bare, one key either way.

In:      the values of every header of that name, as received.
Out:     the key's 1 to 255 printable ASCII characters, or None where no header came.
Errors:  InvalidIdempotencyKey, its message one sentence for a person.
Source:  draft-ietf-httpapi-idempotency-key-header-07: an RFC 8941 string, whose only escapes are those of
         quote and backslash. Most clients send bare keys, so they are taken too; what may be a list or
         parameters is not.
"""

import re
from collections.abc import Sequence
from typing import Final

LONGEST: Final = 255

_QUOTED = re.compile(rb'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"\Z')
_BARE = re.compile(rb"[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]+\Z")  # printable, without `"` `,` `;`
_ESCAPE = re.compile(rb'\\(["\\])')


class InvalidIdempotencyKey(ValueError):
    """The header is there and names no key."""


def parse(values: Sequence[bytes]) -> str | None:
    """The key these header values name; None when there is no such header."""
    if not values:
        return None
    if len(values) > 1:
        raise InvalidIdempotencyKey("There is more than one Idempotency-Key header.")
    value = values[0].strip(b" \t")
    if value.startswith(b'"'):
        quoted = _QUOTED.match(value)
        if quoted is None:
            raise InvalidIdempotencyKey(
                'A quoted key ends with a quote and escapes only " and \\; lists and parameters are no keys.'
            )
        key = _ESCAPE.sub(rb"\1", quoted[1])
    elif value and _BARE.match(value) is None:
        raise InvalidIdempotencyKey('A bare key is printable ASCII without "," ";" and quotes; send it quoted.')
    else:
        key = value
    if not key:
        raise InvalidIdempotencyKey("The key is empty.")
    if len(key) > LONGEST:
        raise InvalidIdempotencyKey(f"The key has {len(key)} characters, more than {LONGEST}.")
    return key.decode("ascii")
