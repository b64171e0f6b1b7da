"""The Idempotency-Key header: quoted or bare, one key, or a refusal."""

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.openapi import document
from services.gateway.idempotency_key import InvalidIdempotencyKey, parse

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
KEYS = st.text(PRINTABLE, min_size=1, max_size=255)
BARE_KEYS = st.text([letter for letter in PRINTABLE if letter not in ',;"'], min_size=1, max_size=255).filter(
    lambda key: key == key.strip()
)
ANY_HEADER = st.binary(max_size=300) | st.text(PRINTABLE + '"\\', max_size=300).map(str.encode)


def quoted(key: str) -> bytes:
    return ('"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"').encode()


@given(KEYS)
def test_a_quoted_key_is_read_back_exactly(key: str) -> None:
    """Whatever printable ASCII a key holds, quoting carries it."""
    assert parse([quoted(key)]) == key


@given(BARE_KEYS)
def test_quoted_and_bare_are_one_key(key: str) -> None:
    """A key without comma, semicolon and quote may go bare, and is the same key."""
    assert parse([key.encode()]) == parse([quoted(key)]) == key


@given(ANY_HEADER)
def test_any_bytes_are_a_key_or_a_refusal(value: bytes) -> None:
    """No header value makes anything but a key of 1 to 255 printable characters or InvalidIdempotencyKey."""
    try:
        key = parse([value])
    except InvalidIdempotencyKey:
        return
    assert key is not None
    assert 1 <= len(key) <= 255
    assert set(key) <= set(PRINTABLE)


@given(ANY_HEADER)
@settings(deadline=None)  # the first example also builds the document
def test_the_published_pattern_says_what_is_accepted(value: bytes) -> None:
    """The OpenAPI pattern and the parser agree about every value without outer white space."""
    text = value.decode("latin-1")
    if text != text.strip(" \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0") or text.endswith("\n"):
        return
    header = next(
        parameter
        for parameter in document()["paths"]["/v1/charges"]["post"]["parameters"]
        if parameter["name"] == "Idempotency-Key"
    )
    matches = re.match(header["schema"]["pattern"], text) is not None
    try:
        accepted = parse([value]) is not None
    except InvalidIdempotencyKey:
        accepted = False
    assert accepted == matches


def test_no_header_is_no_key() -> None:
    """Absence is not an error here: enforcement decides about it."""
    assert parse([]) is None


@pytest.mark.parametrize(
    "values",
    [
        [b""],
        [b" \t "],
        [b'""'],
        [b"a", b"b"],
        [b"a", b"a"],
        [b"a,b"],
        [b'"a", "b"'],
        [b'"a","b"'],
        [b"a;q=1"],
        [b'"a";q=1'],
        [b'"a'],
        [b'a"'],
        [b'"a"b'],
        [b'"a\\b"'],
        [b'"a\\"'],
        [b"a\tb"],
        [b"a\x00b"],
        [b"a\x7f"],
        ["schlüssel".encode()],
        ["schlüssel".encode("latin-1")],
        ['"schlüssel"'.encode()],
        [b"a" * 256],
        [quoted("a" * 256)],
        [b"\x0ba"],
    ],
)
def test_what_is_not_one_key_is_refused(values: list[bytes]) -> None:
    """Empty, several, lists, parameters, open quotes, unknown escapes, other characters, too long."""
    with pytest.raises(InvalidIdempotencyKey):
        parse(values)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b"abc", "abc"),
        (b"  abc\t", "abc"),
        (b'"abc"', "abc"),
        (b'" abc "', " abc "),
        (b'"a,b;c"', "a,b;c"),
        (b'"a\\"b\\\\c"', 'a"b\\c'),
        (b"a b", "a b"),
        (b"a\\b", "a\\b"),
        (b"a" * 255, "a" * 255),
        (b'"' + b'\\"' * 255 + b'"', '"' * 255),
        (
            string.punctuation.translate(str.maketrans("", "", ',;"')).encode(),
            "!#$%&'()*+-./:<=>?@[\\]^_`{|}~",
        ),
    ],
)
def test_what_is_one_key_is_read(value: bytes, key: str) -> None:
    """Outer white space does not count, inner counts; escapes do not count towards the length."""
    assert parse([value]) == key
