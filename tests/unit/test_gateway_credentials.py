"""API keys: whose they are, and which files of them cannot be used."""

import json
from pathlib import Path

import pytest

from services.gateway.credentials import BadCredentials, Credentials

KEYS = {"acme": "sk_test_1", "globex_2": "a.b-c~d+e/f="}


@pytest.mark.parametrize(
    ("authorization", "merchant"),
    [
        ([b"Bearer sk_test_1"], "acme"),
        ([b"bearer sk_test_1"], "acme"),
        ([b"BEARER  sk_test_1 "], "acme"),
        ([b"Bearer a.b-c~d+e/f="], "globex_2"),
        ([], None),
        ([b""], None),
        ([b"Bearer"], None),
        ([b"Bearer "], None),
        ([b"Bearer sk_test_2"], None),
        ([b"Bearer SK_TEST_1"], None),
        ([b"Basic sk_test_1"], None),
        ([b"sk_test_1"], None),
        ([b"Bearer sk_test_1, Bearer sk_test_1"], None),
        ([b"Bearer sk_test_1", b"Bearer sk_test_1"], None),
        ([b"Bearer acme"], None),
        ([b"Bearer \xff"], None),
    ],
)
def test_one_known_bearer_token_names_a_merchant(authorization: list[bytes], merchant: str | None) -> None:
    """The scheme's case does not matter, the token's does; nothing else is a credential."""
    assert Credentials(KEYS).merchant(authorization) == merchant


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '"x"',
        json.dumps({"Acme": "k"}),
        json.dumps({"a" * 65: "k"}),
        json.dumps({"acme": ""}),
        json.dumps({"acme": "a b"}),
        json.dumps({"acme": 1}),
        json.dumps({"acme": "k", "globex": "k"}),
    ],
)
def test_a_file_that_names_nobody_for_certain_is_refused(content: str, tmp_path: Path) -> None:
    """Empty, not a table, impossible merchants, impossible keys, one key for two."""
    file = tmp_path / "keys.json"
    file.write_text(content)
    with pytest.raises(BadCredentials, match=r".+\.$"):
        Credentials.read(file)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """And names the file."""
    with pytest.raises(BadCredentials, match="nowhere"):
        Credentials.read(tmp_path / "nowhere.json")


def test_a_good_file_is_read(tmp_path: Path) -> None:
    """Merchant id to key."""
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(KEYS))
    assert Credentials.read(file).merchant([b"Bearer sk_test_1"]) == "acme"
