"""Which merchant an `Authorization` header speaks for.

In:      the file of API keys: one JSON object, merchant id to key.
Out:     the merchant's id, or None.
Errors:  BadCredentials about the file, one sentence.
Source:  RFC 6750, section 2.1. Keys are looked up by digest: the time it takes tells nothing about a key.
"""

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from events.identifiers import is_merchant_id

_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)\Z", re.IGNORECASE)
_API_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*\Z")


class BadCredentials(ValueError):
    """The file of API keys cannot be used."""


class Credentials:
    def __init__(self, api_keys: Mapping[str, str]) -> None:
        self._merchants: dict[bytes, str] = {}
        for merchant_id, api_key in api_keys.items():
            if not is_merchant_id(merchant_id):
                raise BadCredentials(f"{merchant_id!r} is no merchant id: 1 to 64 of a-z, 0-9 and _.")
            if not _API_KEY.match(api_key):
                raise BadCredentials(
                    f"The API key of {merchant_id} is not a bearer token (letters, digits and -._~+/)."
                )
            digest = sha256(api_key.encode()).digest()
            if digest in self._merchants:
                raise BadCredentials(f"{merchant_id} and {self._merchants[digest]} have the same API key.")
            self._merchants[digest] = merchant_id

    @classmethod
    def read(cls, path: Path) -> "Credentials":
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise BadCredentials(f"The file of API keys {path} cannot be read: {error}.") from None
        is_table = isinstance(content, dict) and all(isinstance(api_key, str) for api_key in content.values())
        if not is_table or not content:
            raise BadCredentials(f"The file of API keys {path} must be a JSON object of merchant ids to keys.")
        return cls(content)

    def merchant(self, authorization: Sequence[bytes]) -> str | None:
        """The merchant whose key the one Authorization header carries."""
        if len(authorization) != 1:
            return None
        token = _BEARER.match(authorization[0].strip(b" \t"))
        return None if token is None else self._merchants.get(sha256(token[1]).digest())
