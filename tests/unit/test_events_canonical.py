"""JSON as the contract means it: strict to read, one form to write."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from events.canonical import InvalidJson, canonical, parse

text = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=5),
    max_leaves=20,
)


@given(json_values)
def test_canonical_writes_what_the_rfc_s_own_package_writes(value: object) -> None:
    """orjson's sorted form equals RFC 8785 for every value without floats, member names above U+FFFF included."""
    assert rfc8785.dumps(value) == canonical(value)  # type: ignore[arg-type]


@given(json_values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_form_does_not_matter_to_a_reader(value: object, ascii_only: bool, indent: int | str | None) -> None:
    """White space and escapes change nothing; U+0000 is refused wherever it stands."""
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    if "\\u0000" in json.dumps(value).replace("\\\\", ""):
        with pytest.raises(InvalidJson, match="U\\+0000"):
            parse(raw)
    else:
        assert value == parse(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"x":[{"a":1,"a":1}]}',
        b'{"\\u0061":1,"a":1}',
        b'{"a":"\\u0000"}',
        b'{"\\u0000":1}',
        b'[["\\u0000"]]',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"",
        b"{",
        b'{"a":1}x',
        b"[" * 5_000,
        b"[" * 400 + b"]" * 400,
    ],
)
def test_what_two_readers_could_read_differently_is_refused(raw: bytes) -> None:
    """Each of these is refused with a sentence."""
    with pytest.raises(InvalidJson) as refused:
        parse(raw)
    assert str(refused.value).endswith(".")


def test_an_escaped_backslash_is_no_escape() -> None:
    r"""The six characters \u0000 as text are no U+0000."""
    assert parse(b'["\\\\u0000"]') == ["\\u0000"]
