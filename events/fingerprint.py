"""What makes two requests the same request.

Out:     lower-case hex SHA-256 over the RFC 8785 form of `{type, payload as received}`.
Source:  CONTRACT, "HTTP": no defaults filled in; an empty body is `{}`; member order, white space and escapes do not
         matter;
         absent, null and an explicit default differ; no Unicode normalization.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from events.canonical import canonical


def fingerprint(operation: str, payload: Mapping[str, Any]) -> str:
    return sha256(canonical({"payload": payload, "type": operation})).hexdigest()
