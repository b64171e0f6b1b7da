"""What the gateway refuses by itself, over real HTTP: every rule between the route and the log."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from simulator.broker.embedded import EmbeddedBroker
from tests.support.gateway_world import VALID, World, assert_problem, connect, exchange, read_response, world

BODY = json.dumps(VALID)
AUTH = b"Authorization: Bearer sk_acme\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def refusing(kafka: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway with nobody behind it: what it answers at once, it answers by itself."""
    directory = tmp_path_factory.mktemp("refusing")
    optional = {"PAYONCE_ENFORCEMENT": "strict,charge.void=optional", "PAYONCE_ANSWER_TIMEOUT": "200ms"}
    with world(kafka, "gateway-refusals", directory, optional, with_services=False) as made:
        yield made


Case = tuple[str, int, str, dict[str, Any]]


def post(body: str | bytes | None = BODY, path: str = "/v1/charges", **headers: str | None) -> dict[str, Any]:
    """A request; None drops a header that is sent otherwise."""
    sent = {"idempotency_key": "k", "content_type": "application/json", **headers}
    named = [(name.replace("_", "-"), value) for name, value in sent.items() if value is not None]
    return {"method": "POST", "url": path, "content": body, "headers": named}


def get(path: str, **headers: str) -> dict[str, Any]:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return {"method": "GET", "url": path, "headers": named}


def body(**members: Any) -> str:
    return json.dumps(VALID | members)


def text(old: str, new: str) -> str:
    assert old in BODY
    return BODY.replace(old, new)


METADATA = {str(n): "x" for n in range(51)}
REFUSED: list[Case] = [
    # route, then method, then authorization, each before everything after it
    ("unknown route", 404, "route_not_found", post(path="/v1/payments", authorization="no")),
    ("trailing slash", 404, "route_not_found", post(path="/v1/charges/")),
    ("doubled slash", 404, "route_not_found", post(path="//v1/charges")),
    ("other case", 404, "route_not_found", post(path="/v1/Charges")),
    ("a method that nobody knows", 405, "method_not_allowed", {"method": "BREW", "url": "/v1/charges", "headers": []}),
    ("one in lower case", 405, "method_not_allowed", {"method": "Brew", "url": "/v1/charges/x", "headers": []}),
    ("and where nothing is", 404, "route_not_found", {"method": "BREW", "url": "/v1/tea", "headers": []}),
    ("U+0000 in the path", 404, "charge_not_found", get("/v1/charges/%00")),
    ("put", 405, "method_not_allowed", {"method": "PUT", "url": "/v1/charges", "headers": []}),
    ("delete", 405, "method_not_allowed", {"method": "DELETE", "url": "/v1/charges/x", "headers": []}),
    ("post to a read", 405, "method_not_allowed", post(path="/v1/balance", authorization="no")),
    ("post to health", 405, "method_not_allowed", post(path="/healthz")),
    ("options", 405, "method_not_allowed", {"method": "OPTIONS", "url": "/v1/charges", "headers": []}),
    ("get of an action", 405, "method_not_allowed", get("/v1/charges/x/capture")),
    ("unknown key", 401, "unauthorized", post("x" * 40_000, authorization="Bearer nobody")),
    ("basic", 401, "unauthorized", post("{", authorization="Basic sk_acme")),
    ("no scheme", 401, "unauthorized", get("/v1/charges?x=1", authorization="sk_acme")),
    ("unknown key on a read", 401, "unauthorized", get("/v1/balance", authorization="Bearer x")),
    # size, content type, query, key, body
    ("too large", 413, "body_too_large", post("x" * 32_769, content_type="text/plain")),
    ("command too large", 413, "command_too_large", post("", path=f"/v1/charges/{'x' * 65_400}/void")),
    ("text", 415, "unsupported_media_type", post("{", path="/v1/charges?x=1", content_type="text/plain")),
    ("no content type", 415, "unsupported_media_type", post("{", content_type=None)),
    ("latin-1", 415, "unsupported_media_type", post(content_type="application/json; charset=latin-1")),
    ("compressed", 415, "unsupported_media_type", post(content_encoding="gzip")),
    ("query on a post", 400, "invalid_query", post("{", path="/v1/charges?dry_run=1", idempotency_key=None)),
    ("query on a read", 400, "invalid_query", get("/v1/balance?currency=usd")),
    ("query on health", 400, "invalid_query", get("/healthz?verbose")),
    ("limit 0", 400, "invalid_query", get("/v1/charges?limit=0")),
    ("limit 101", 400, "invalid_query", get("/v1/charges?limit=101")),
    ("limit 1.0", 400, "invalid_query", get("/v1/charges?limit=1.0")),
    ("limit empty", 400, "invalid_query", get("/v1/charges?limit=")),
    ("limit twice", 400, "invalid_query", get("/v1/charges?limit=1&limit=1")),
    ("no key", 400, "idempotency_key_missing", post("{", idempotency_key=None)),
    ("empty key", 400, "idempotency_key_invalid", post("{", idempotency_key="")),
    ("empty quoted key", 400, "idempotency_key_invalid", post(idempotency_key='""')),
    ("list of keys", 400, "idempotency_key_invalid", post(idempotency_key="a, b")),
    ("list of quoted keys", 400, "idempotency_key_invalid", post(idempotency_key='"a", "b"')),
    ("parameters", 400, "idempotency_key_invalid", post(idempotency_key='"a";v=1')),
    ("open quote", 400, "idempotency_key_invalid", post(idempotency_key='"a')),
    ("256 characters", 400, "idempotency_key_invalid", post(idempotency_key="a" * 256)),
    (
        "an invalid key where none is needed",
        400,
        "idempotency_key_invalid",
        post("", path="/v1/charges/x/void", idempotency_key=""),
    ),
    ("no body", 400, "invalid_request", post("", content_type=None)),
    ("white space", 400, "invalid_json", post(" ")),
    ("half a body", 400, "invalid_json", post(BODY[:-1])),
    ("two bodies", 400, "invalid_json", post(BODY + BODY)),
    ("array", 400, "invalid_request", post("[]")),
    ("null", 400, "invalid_request", post("null")),
    ("1.0", 400, "invalid_request", post(text("1000", "1.0"))),
    ("1e2", 400, "invalid_request", post(text("1000", "1e2"))),
    ("text amount", 400, "invalid_request", post(text("1000", '"100"'))),
    ("true amount", 400, "invalid_request", post(text("1000", "true"))),
    ("null amount", 400, "invalid_request", post(text("1000", "null"))),
    ("zero", 400, "invalid_request", post(text("1000", "0"))),
    ("minus zero", 400, "invalid_request", post(text("1000", "-0"))),
    ("negative", 400, "invalid_request", post(text("1000", "-5"))),
    ("too much", 400, "invalid_request", post(text("1000", "1000000000000"))),
    ("beyond 64 bits", 400, "invalid_request", post(text("1000", "18446744073709551617"))),
    ("NaN", 400, "invalid_json", post(text("1000", "NaN"))),
    ("Infinity", 400, "invalid_json", post(text("1000", "Infinity"))),
    ("leading zero", 400, "invalid_json", post(text("1000", "01"))),
    ("upper-case currency", 400, "invalid_request", post(body(currency="USD"))),
    ("a fund's code", 400, "invalid_request", post(body(currency="xau"))),
    ("unknown token", 400, "invalid_request", post(body(payment_method="pm_card_gold"))),
    ("card number", 400, "invalid_request", post(body(payment_method="4242424242424242"))),
    ("unknown member", 400, "invalid_request", post(body(tip=1))),
    ("charge id in the body", 400, "invalid_request", post(body(charge_id="ch_1"))),
    ("capture as text", 400, "invalid_request", post(body(capture="true"))),
    ("capture as a number", 400, "invalid_request", post(body(capture=1))),
    ("51 pairs", 400, "invalid_request", post(body(metadata=METADATA))),
    ("metadata of numbers", 400, "invalid_request", post(body(metadata={"a": 1}))),
    ("metadata of null", 400, "invalid_request", post(body(metadata={"a": None}))),
    ("nested metadata", 400, "invalid_request", post(body(metadata={"a": {}}))),
    ("duplicate member", 400, "invalid_json", post(text("{", '{"amount":1000,'))),
    ("escaped duplicate", 400, "invalid_json", post(text("{", '{"\\u0061mount":1000,'))),
    ("duplicate deep inside", 400, "invalid_json", post(text("{", '{"metadata":{"a":"","a":""},'))),
    ("U+0000", 400, "invalid_json", post(text("{", '{"description":"\\u0000",'))),
    ("lone surrogate", 400, "invalid_json", post(text("{", '{"description":"\\ud83d",'))),
    ("low surrogate first", 400, "invalid_json", post(text("{", '{"description":"\\ude00\\ud83d",'))),
    ("invalid UTF-8", 400, "invalid_json", post(BODY.replace("usd", "\xff").encode("latin-1"))),
    ("UTF-16", 400, "invalid_json", post(BODY.encode("utf-16"))),
    ("byte order mark", 400, "invalid_json", post(b"\xef\xbb\xbf" + BODY.encode())),
    ("control character", 400, "invalid_json", post(text("{", '{"description":"\x01",'))),
    ("nested without end", 400, "invalid_json", post("[" * 30_000)),
    ("void with a member", 400, "invalid_request", post('{"amount":1}', path="/v1/charges/x/void")),
    ("capture of another", 400, "invalid_request", post('{"charge_id":"y"}', path="/v1/charges/x/capture")),
    ("refund of 1.5", 400, "invalid_request", post('{"amount":1.5}', path="/v1/charges/x/refunds")),
    # reads decide some things without asking the ledger
    ("no charge id", 404, "charge_not_found", get("/v1/charges/ch_1")),
    ("no cursor", 404, "cursor_not_found", get("/v1/charges?starting_after=ch_1")),
    ("no key of ours", 404, "idempotency_key_not_found", get("/v1/idempotency-keys/%C3%BC")),
]


def ask(client: httpx.Client, request: dict[str, Any]) -> httpx.Response:
    return client.send(client.build_request(**request))


@pytest.mark.parametrize(("status", "code", "request_"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED])
def test_refusals(refusing: World, status: int, code: str, request_: dict[str, Any]) -> None:
    """Each bad request gets its own status and code, whatever else is wrong further down the order."""
    with refusing.client() as client:
        response = ask(client, request_)
    assert_problem(response, status, code)
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Bearer")
    if status == 405:
        assert response.headers["allow"]


def test_nothing_refused_was_produced(refusing: World) -> None:
    """All of it again, and the log has taken no record."""
    before = refusing.commands_on_log()
    with refusing.client() as client:
        for _, status, _, request in REFUSED:
            assert ask(client, request).status_code == status
    assert refusing.commands_on_log() == before


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/charges", "GET, POST"),
        ("/v1/charges/x", "GET"),
        ("/v1/charges/x/capture", "POST"),
        ("/v1/charges/x/void", "POST"),
        ("/v1/charges/x/refunds", "POST"),
        ("/v1/balance", "GET"),
        ("/v1/idempotency-keys/k", "GET"),
        ("/healthz", "GET"),
        ("/metrics", "GET"),
    ],
)
def test_a_path_says_what_it_allows(refusing: World, path: str, allowed: str) -> None:
    """405 names every method of the path, for any method it does not have, HEAD included."""
    with httpx.Client(base_url=refusing.url) as client:
        for method in ("PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"):
            response = client.request(method, path)
            assert (response.status_code, response.headers["allow"]) == (405, allowed)
            assert method != "HEAD" or response.content == b""


def head(more: bytes = b"", length: int | None = len(BODY)) -> bytes:
    declared = b"" if length is None else b"Content-Length: %d\r\n" % length
    return b"POST /v1/charges HTTP/1.1\r\nHost: x\r\n" + AUTH + JSON + declared + more + b"\r\n"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (b"Idempotency-Key: a\r\nIdempotency-Key: a\r\n", "idempotency_key_invalid"),
        (b'Idempotency-Key: "a"\r\nidempotency-key: "b"\r\n', "idempotency_key_invalid"),
        (b"Idempotency-Key:   \r\n", "idempotency_key_invalid"),
        (b"Idempotency-Key: a\tb\r\n", "idempotency_key_invalid"),
        (b"Idempotency-Key: \xc3\xbc\r\n", "idempotency_key_invalid"),
        (b"Idempotency-Key: \xfc\r\n", "idempotency_key_invalid"),
        (b'Idempotency-Key: "\xfc"\r\n', "idempotency_key_invalid"),
        (b"Idempotency-Key: a\r\nContent-Type: application/json\r\n", "unsupported_media_type"),
        (b"Idempotency-Key: a\r\nAuthorization: Bearer sk_acme\r\n", "unauthorized"),
    ],
)
def test_headers_that_no_client_library_sends(refusing: World, more: bytes, code: str) -> None:
    """Repeated headers, bytes beyond ASCII, control characters: refused, in the order of the checks."""
    _, headers, answer = exchange(refusing.url, head(more) + BODY.encode())
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(answer)["code"] == code


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /v1/charges HTTP/9.9\r\n\r\n",
        b"GET /v1/ch\xc3\xa4rges HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 70_000),
        head(b"Idempotency-Key: a\x00b\r\n"),
        head(b"Idempotency Key: a\r\n"),
        head(b"Content-Length: 5\r\n"),
        head(b"Transfer-Encoding: chunked\r\n"),
        head(b"Transfer-Encoding: chunked\r\n", None) + b"zz\r\n",
        b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 400_000,
    ],
)
def test_what_is_not_http_is_a_400(refusing: World, sent: bytes) -> None:
    """A problem and a closed connection, no traceback, and the next client is served."""
    status, headers, answer = exchange(refusing.url, sent)
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert json.loads(answer)["status"] == 400
    assert httpx.get(refusing.url + "/healthz").status_code == 200
    assert "Traceback" not in refusing.gateways[0].log()
    assert "exception" not in refusing.gateways[0].log()


def test_nonsense_after_a_request_is_not_its_answer(refusing: World) -> None:
    """While a command is in flight its connection is closed, never answered 400."""
    before = refusing.commands_on_log()
    with connect(refusing.url) as connected:
        connected.sendall(head(b"Idempotency-Key: a\r\n") + BODY.encode() + b"\x00nonsense\r\n\r\n")
        assert connected.recv(65536) == b""
    assert refusing.commands_on_log() <= before + 1


def test_an_endless_chunked_body_is_refused_before_its_end(refusing: World) -> None:
    """413 comes as soon as 32 KiB are passed; the rest need never be sent."""
    with connect(refusing.url) as connected:
        connected.sendall(head(b"Idempotency-Key: a\r\nTransfer-Encoding: chunked\r\n", None))
        for _ in range(9):
            connected.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
        status, _, answer = read_response(connected)
    assert (status, json.loads(answer)["code"]) == (413, "body_too_large")


def test_a_declared_large_body_is_refused_unread(refusing: World) -> None:
    """413 comes before the first byte of the body, and the client is not asked to go on."""
    expecting = head(b"Idempotency-Key: a\r\nExpect: 100-continue\r\n", 10_000_000)
    status, _, answer = exchange(refusing.url, expecting)
    assert (status, json.loads(answer)["code"]) == (413, "body_too_large")


def test_a_client_that_leaves_in_mid_body_leaves_nothing(refusing: World) -> None:
    """Half a request is no command."""
    before = refusing.commands_on_log()
    with connect(refusing.url) as connected:
        connected.sendall(head(b"Idempotency-Key: gone\r\n") + BODY[:10].encode())
    assert httpx.get(refusing.url + "/healthz").status_code == 200
    assert refusing.commands_on_log() == before


def test_a_body_of_exactly_32_kib_is_taken(refusing: World) -> None:
    """And, as nobody answers here, its outcome is unknown: 504 with Retry-After, after the answer timeout."""
    padded = BODY[:-1] + " " * (32 * 1024 - len(BODY)) + "}"
    with refusing.client() as client:
        response = ask(client, post(padded))
    assert_problem(response, 504, "answer_timeout")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "request_",
    [
        post(idempotency_key='"quoted, key; with \\"escapes\\""'),
        post(idempotency_key="a" * 255),
        post(content_type="application/json; charset=UTF-8"),
        post(body(capture=None, description=None, metadata=None)),
        post(body(metadata={str(n): "x" for n in range(50)})),
        post(body(description="\U0001f4b3 caf\u00e9 e\u0301")),
        post("", path="/v1/charges/x/capture", content_type=None),
        post("{}", path="/v1/charges/any%2Fthing%20at%20all/refunds"),
        post("", path="/v1/charges/x/void", idempotency_key=None, content_type=None),
    ],
)
def test_what_is_allowed_reaches_the_log(refusing: World, request_: dict[str, Any]) -> None:
    """The permissive half of each rule: exactly one command per request, answered 504 as nobody decides."""
    before = refusing.commands_on_log()
    with refusing.client() as client:
        assert ask(client, request_).status_code == 504
    assert refusing.commands_on_log() == before + 1


def test_reads_ignore_a_body_and_a_key(refusing: World) -> None:
    """A GET with an impossible key and a body is judged as if it had neither."""
    with refusing.client() as client:
        request = client.build_request(
            "GET", "/v1/charges/ch_1", content=b"{{{", headers={"idempotency-key": "", "content-type": "x"}
        )
        assert_problem(client.send(request), 404, "charge_not_found")


def test_a_read_without_a_ledger_is_503(refusing: World) -> None:
    """With Retry-After, in about two seconds at most."""
    with refusing.client() as client:
        response = client.get("/v1/charges/ch_" + "0" * 32)
    assert_problem(response, 503, "read_model_behind")
    assert response.headers["retry-after"] == "1"
    assert response.elapsed.total_seconds() < 3


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("/openapi.json", "application/json"),
        ("/docs", "text/html; charset=utf-8"),
        ("/metrics", "text/plain"),
    ],
)
def test_operations_need_no_key(refusing: World, path: str, content_type: str) -> None:
    """Each answers 200 without authorization, and gives away no server name."""
    response = httpx.get(refusing.url + path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(content_type)
    assert "server" not in response.headers


def test_the_page_loads_nothing_from_elsewhere(refusing: World) -> None:
    """It works on a machine without a network: no script, no address but our own."""
    page = httpx.get(refusing.url + "/docs").text
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    assert "/v1/charges/{charge_id}/refunds" in page


def test_requests_are_counted(refusing: World) -> None:
    """By call and status."""
    httpx.get(refusing.url + "/nowhere")
    assert 'payonce_gateway_requests_total{call="none",status="404"}' in httpx.get(refusing.url + "/metrics").text
