"""The checks between route and log, each alone."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway import checks
from services.gateway.answers import ClientGone, Problem


def code_of(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(Problem) as caught:
        call(*arguments, **named)
    return caught.value.code


def receiving(*messages: dict[str, Any]):
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    receive.left = left
    return receive


def part(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_read_to_its_end() -> None:
    """Parts are put together."""
    assert await checks.body([], receiving(part(b"ab"), part(b""), part(b"c", False)), 1) == b"abc"


async def test_a_declared_body_that_is_too_large_is_not_read() -> None:
    """The length alone refuses it."""
    receive = receiving(part(b"x", False))
    with pytest.raises(Problem, match="body_too_large"):
        await checks.body([(b"content-length", b"32769")], receive, 1)
    assert len(receive.left) == 1


async def test_an_undeclared_body_is_refused_where_it_becomes_too_large() -> None:
    """The rest is not waited for."""
    receive = receiving(part(b"x" * 32768), part(b"x"), part(b"x" * 10, False))
    with pytest.raises(Problem, match="body_too_large"):
        await checks.body([], receive, 1)
    assert len(receive.left) == 1


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    """32 KiB are allowed."""
    headers = [(b"content-length", b"32768")]
    assert len(await checks.body(headers, receiving(part(b"x" * 32768, False)), 1)) == 32768


async def test_a_client_that_leaves_in_mid_body_is_gone() -> None:
    """Nothing is made of half a body."""
    with pytest.raises(ClientGone):
        await checks.body([], receiving(part(b"{"), {"type": "http.disconnect"}), 1)


async def test_a_body_that_never_comes_is_refused() -> None:
    """A slow sender is told so and let go of."""

    async def receive() -> dict[str, Any]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with pytest.raises(Problem, match="invalid_request") as caught:
        await checks.body([], receive, 0.01)
    assert caught.value.headers == ((b"connection", b"close"),)


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"',
        b"application/json ; charset=utf-8 ;",
        b"application/json; v=1",
    ],
)
def test_json_in_utf_8_is_read(value: bytes) -> None:
    """Parameters do not matter, except a character set."""
    checks.content_type([(b"content-type", value)], b"{}")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"")],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/jsonp")],
        [(b"content-type", b"application/problem+json")],
        [(b"content-type", b"application/json; charset=latin-1")],
        [(b"content-type", b"application/json, application/json")],
        [(b"content-type", b"application/json"), (b"content-type", b"application/json")],
        [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")],
    ],
)
def test_anything_else_with_a_body_is_unsupported(headers: checks.Headers) -> None:
    """A missing, other, doubled or compressed content is not guessed at."""
    assert code_of(checks.content_type, headers, b"{}") == "unsupported_media_type"


def test_an_empty_body_needs_no_content_type() -> None:
    """But a wrong one is still wrong."""
    checks.content_type([], b"")
    wrong = [(b"content-type", b"text/plain")]
    assert code_of(checks.content_type, wrong, b"") == "unsupported_media_type"


@pytest.mark.parametrize("query", [b"x", b"x=1", b"=", b"limit=1&x=2", b"limit=1&limit=1", b"Limit=1"])
def test_unknown_and_repeated_parameters_are_refused(query: bytes) -> None:
    """No parameter is ignored in silence."""
    assert code_of(checks.query, query, frozenset({"limit"})) == "invalid_query"


def test_known_parameters_are_decoded() -> None:
    """Percent-encoding and blanks."""
    known = frozenset({"limit", "starting_after"})
    assert checks.query(b"limit=%31&starting_after=", known) == {"limit": "1", "starting_after": ""}
    assert checks.query(b"", known) == {}


@pytest.mark.parametrize("text", ["", "0", "101", "-1", "+1", "1.0", "1e1", "٣", "1_0", " 1", "9" * 5000])
def test_a_limit_is_1_to_100(text: str) -> None:
    """And nothing that merely looks like it."""
    assert code_of(checks.limit, {"limit": text}) == "invalid_query"


def test_limits_in_range() -> None:
    """20 when absent."""
    assert [checks.limit(given) for given in ({}, {"limit": "1"}, {"limit": "100"})] == [20, 1, 100]


VALID = b'{"amount":100,"currency":"usd","payment_method":"pm_card_visa"}'


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_request"),
        (b" ", "invalid_json"),
        (b"[]", "invalid_request"),
        (b"null", "invalid_request"),
        (b'"x"', "invalid_request"),
        (b"{", "invalid_json"),
        (b"{}x", "invalid_json"),
        (b"\xef\xbb\xbf" + VALID, "invalid_json"),
        (VALID.replace(b"100", b"1.0"), "invalid_request"),
        (VALID.replace(b"100", b"1e2"), "invalid_request"),
        (VALID.replace(b"100", b'"100"'), "invalid_request"),
        (VALID.replace(b"100", b"true"), "invalid_request"),
        (VALID.replace(b"100", b"0"), "invalid_request"),
        (VALID.replace(b"100", b"-1"), "invalid_request"),
        (VALID.replace(b"100", b"1000000000000"), "invalid_request"),
        (VALID.replace(b"100", b"99999999999999999999999"), "invalid_request"),
        (VALID.replace(b"100", b"null"), "invalid_request"),
        (VALID.replace(b"100", b"NaN"), "invalid_json"),
        (VALID.replace(b"100", b"01"), "invalid_json"),
        (VALID.replace(b"usd", b"USD"), "invalid_request"),
        (VALID.replace(b"usd", b"xau"), "invalid_request"),
        (VALID.replace(b"visa", b"unknown"), "invalid_request"),
        (VALID.replace(b"{", b'{"amount":100,'), "invalid_json"),
        (VALID.replace(b"{", b'{"\\u0061mount":100,'), "invalid_json"),
        (VALID.replace(b"{", b'{"metadata":{"a":"1","a":"1"},'), "invalid_json"),
        (VALID.replace(b"{", b'{"tip":1,'), "invalid_request"),
        (VALID.replace(b"{", b'{"charge_id":"ch_1",'), "invalid_request"),
        (VALID.replace(b"{", b'{"description":"\\u0000",'), "invalid_json"),
        (VALID.replace(b"{", b'{"metadata":{"\\u0000":"a"},'), "invalid_json"),
        (VALID.replace(b"{", b'{"description":"\\ud800",'), "invalid_json"),
        (VALID.replace(b"{", b'{"description":"\xff",'), "invalid_json"),
        (VALID.replace(b"{", b'{"description":"\x01",'), "invalid_json"),
        (VALID.replace(b"{", b'{"description":1,'), "invalid_request"),
        (VALID.replace(b"{", b'{"capture":1,'), "invalid_request"),
        (VALID.replace(b"{", b'{"capture":"true",'), "invalid_request"),
        (VALID.replace(b"{", b'{"metadata":{"a":1},'), "invalid_request"),
        (VALID.replace(b"{", b'{"metadata":{"a":null},'), "invalid_request"),
        (VALID.replace(b"{", b'{"metadata":[],'), "invalid_request"),
        (b"[" * 20000, "invalid_json"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "invalid_json"),
    ],
)
def test_bodies_that_are_refused(body: bytes, code: str) -> None:
    """Text that two readers could read differently, and values that the operation does not know."""
    assert code_of(checks.payload, "charge.create", body, "") == code


def test_a_body_stays_as_received() -> None:
    """No defaults are filled in, null stays null, the path's charge id is added."""
    nulls = VALID.replace(b"{", b'{"capture":null,"description":null,"metadata":null,')
    assert checks.payload("charge.create", nulls, "")["capture"] is None
    assert checks.payload("charge.capture", b"", "ch_x") == {"charge_id": "ch_x"}
    assert checks.payload("charge.capture", b'{"amount":null}', "ch_x") == {
        "amount": None,
        "charge_id": "ch_x",
    }


def test_metadata_has_at_most_50_pairs() -> None:
    """50 are read, 51 are not."""

    def body(pairs: int) -> bytes:
        metadata = ",".join(f'"{n}":""' for n in range(pairs))
        return VALID.replace(b"{", b'{"metadata":{' + metadata.encode() + b"},")

    assert len(checks.payload("charge.create", body(50), "")["metadata"]) == 50
    assert code_of(checks.payload, "charge.create", body(51), "") == "invalid_request"


@pytest.mark.parametrize("body", [b'{"charge_id":"ch_y"}', b'{"reason":"x"}'])
def test_a_void_takes_nothing_from_its_body(body: bytes) -> None:
    """The charge is the path's."""
    assert code_of(checks.payload, "charge.void", body, "ch_x") == "invalid_request"


@given(st.binary(max_size=200))
def test_any_body_is_a_payload_or_a_400(body: bytes) -> None:
    """Nothing else ever comes of bytes."""
    status = 201
    try:
        checks.payload("charge.create", body, "")
    except Problem as problem:
        status = problem.answer().status
    assert status in (201, 400)


def test_a_missing_key_is_refused_where_it_is_required() -> None:
    """Enforcement is per operation."""
    assert code_of(checks.key, [], required=True) == "idempotency_key_missing"
    assert checks.key([], required=False) is None
    assert code_of(checks.key, [(b"idempotency-key", b"")], required=False) == "idempotency_key_invalid"
