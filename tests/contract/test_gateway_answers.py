"""What clients are answered, over real HTTP, a real Kafka, a real processor and a real ledger."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from simulator.broker.embedded import EmbeddedBroker
from tests.support.gateway_world import VALID, World, assert_problem, connect, world
from tests.support.wait import wait_until_sync


@pytest.fixture(scope="module")
def shop(kafka: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two gateways, the second with optional keys and 409 for duplicates in flight."""
    lenient = {"PAYONCE_ENFORCEMENT": "optional", "PAYONCE_IN_FLIGHT": "conflict"}
    with world(kafka, "gateway-answers", tmp_path_factory.mktemp("answers"), {}, lenient) as made:
        yield made


@pytest.fixture
def acme(shop: World) -> Iterator[httpx.Client]:
    with shop.client() as client:
        yield client


@pytest.fixture
def globex(shop: World) -> Iterator[httpx.Client]:
    with shop.client("globex") as client:
        yield client


def post(
    client: httpx.Client, path: str, content: dict[str, Any] | None = None, key: str | None = ""
) -> httpx.Response:
    """A POST under the given key, under a new one by default, under none with None."""
    headers = {} if key is None else {"idempotency-key": key or uuid.uuid4().hex}
    return client.post(path, headers=headers, **({} if content is None else {"json": content}))


def charge(client: httpx.Client, **members: Any) -> dict[str, Any]:
    response = post(client, "/v1/charges", VALID | members)
    assert response.status_code == 201, response.text
    return response.json()


def test_a_charge_has_exactly_the_contracts_members(acme: httpx.Client) -> None:
    """201, application/json, everything named."""
    response = post(acme, "/v1/charges", VALID | {"description": "caf\u00e9", "metadata": {"intent": "i-1"}})
    assert (response.status_code, response.headers["content-type"]) == (201, "application/json")
    assert "idempotent-replayed" not in response.headers
    made = response.json()
    assert made == {
        "id": made["id"],
        "object": "charge",
        "merchant_id": "acme",
        "status": "succeeded",
        "amount": 1000,
        "amount_captured": 1000,
        "amount_refunded": 0,
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "captured": True,
        "description": "caf\u00e9",
        "metadata": {"intent": "i-1"},
        "created_at": made["created_at"],
    }


def test_a_replay_is_the_same_bytes_marked(acme: httpx.Client) -> None:
    """Whatever the white space, the order of members and the notation of the key."""
    first = post(acme, "/v1/charges", VALID, "replay-1")
    again = acme.post(
        "/v1/charges",
        headers={"idempotency-key": '"replay-1"', "content-type": "application/json"},
        content=json.dumps(dict(reversed(VALID.items())), indent=3).replace("u", "\\u0075"),
    )
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("token", "decline_code"),
    [
        ("pm_card_declined", "card_declined"),
        ("pm_card_insufficient_funds", "insufficient_funds"),
        ("pm_card_expired", "expired"),
        ("pm_card_incorrect_cvc", "incorrect_cvc"),
        ("pm_card_processing_error", "processing_error"),
    ],
)
def test_a_decline_is_a_402_and_stays_one(acme: httpx.Client, token: str, decline_code: str) -> None:
    """With the reason and the charge; the replay is the same decline."""
    key = f"decline-{token}"
    first, again = (post(acme, "/v1/charges", VALID | {"payment_method": token}, key) for _ in range(2))
    assert_problem(first, 402, "card_declined")
    assert first.json()["decline_code"] == decline_code
    assert (again.status_code, again.content) == (402, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    shown = acme.get(f"/v1/charges/{first.json()['charge_id']}").json()
    assert (shown["status"], shown["decline_code"]) == ("declined", decline_code)


def test_another_request_under_the_same_key_is_422(acme: httpx.Client) -> None:
    """Disclosing nothing, storing nothing: the first still answers."""
    first = post(acme, "/v1/charges", VALID, "mismatch")
    other = post(acme, "/v1/charges", VALID | {"amount": 1001}, "mismatch")
    assert_problem(other, 422, "idempotency_key_reused")
    assert first.json()["id"] not in other.text
    assert_problem(
        post(acme, f"/v1/charges/{first.json()['id']}/refunds", None, "mismatch"), 422, "idempotency_key_reused"
    )
    assert post(acme, "/v1/charges", VALID, "mismatch").content == first.content


def test_absent_null_and_default_are_three_requests(acme: httpx.Client) -> None:
    """The fingerprint is of what was received."""
    post(acme, "/v1/charges", VALID, "nulls")
    for members in ({"capture": None}, {"capture": True}, {"metadata": {}}):
        assert post(acme, "/v1/charges", VALID | members, "nulls").status_code == 422


def test_a_refused_request_leaves_its_key_free(acme: httpx.Client) -> None:
    """A 400 is not stored: the corrected request runs."""
    assert post(acme, "/v1/charges", VALID | {"amount": "1000"}, "corrected").status_code == 400
    fixed = post(acme, "/v1/charges", VALID, "corrected")
    assert (fixed.status_code, fixed.headers.get("idempotent-replayed")) == (201, None)


def test_the_life_of_an_authorization(acme: httpx.Client) -> None:
    """Authorize, capture in part, refund in parts, and each thing that is then too late."""
    path = f"/v1/charges/{charge(acme, capture=False)['id']}"
    assert_problem(post(acme, f"{path}/refunds"), 409, "charge_not_captured")
    assert_problem(post(acme, f"{path}/capture", {"amount": 1001}), 409, "capture_too_large")
    captured = post(acme, f"{path}/capture", {"amount": 600})
    assert (captured.status_code, captured.json()["status"]) == (200, "captured")
    assert_problem(post(acme, f"{path}/capture"), 409, "charge_already_captured")
    assert post(acme, f"{path}/void").status_code == 409
    refund = post(acme, f"{path}/refunds", {"amount": 200})
    assert refund.status_code == 201
    assert refund.json() | {"object": "refund", "amount": 200, "currency": "usd"} == refund.json()
    assert_problem(post(acme, f"{path}/refunds", {"amount": 401}), 409, "refund_too_large")
    assert acme.get(path).json()["status"] == "partially_refunded"
    assert post(acme, f"{path}/refunds").json()["amount"] == 400
    assert_problem(post(acme, f"{path}/refunds"), 409, "charge_already_refunded")
    assert acme.get(path).json()["status"] == "refunded"


def test_a_void_releases_an_authorization(acme: httpx.Client) -> None:
    """And is final."""
    path = f"/v1/charges/{charge(acme, capture=False)['id']}"
    voided = post(acme, f"{path}/void")
    assert (voided.status_code, voided.json()["status"]) == (200, "voided")
    assert_problem(post(acme, f"{path}/capture"), 409, "charge_already_voided")


@pytest.mark.parametrize("charge_id", ["ch_" + "0" * 32, "x", "a/b", "\u00fc \U0001f4b3", "..", "%", "a?b#c"])
@pytest.mark.parametrize("action", ["capture", "void", "refunds"])
def test_an_unknown_charge_is_a_stored_404(acme: httpx.Client, charge_id: str, action: str) -> None:
    """Any text may stand in the path; the log decides, and the key remembers."""
    path = f"/v1/charges/{quote(charge_id, safe='').replace('..', '%2E%2E')}/{action}"
    key = uuid.uuid4().hex
    first, again = (post(acme, path, None, key) for _ in range(2))
    assert_problem(first, 404, "charge_not_found")
    assert (again.content, again.headers.get("idempotent-replayed")) == (first.content, "true")


def test_merchants_never_see_each_other(acme: httpx.Client, globex: httpx.Client) -> None:
    """Neither charges nor keys nor balances; the same key is two keys."""
    ours = post(acme, "/v1/charges", VALID, "shared-key")
    theirs = post(globex, "/v1/charges", VALID | {"amount": 5, "currency": "eur"}, "shared-key")
    assert theirs.status_code == 201
    path = f"/v1/charges/{ours.json()['id']}"
    assert_problem(globex.get(path), 404, "charge_not_found")
    assert_problem(post(globex, f"{path}/refunds"), 404, "charge_not_found")
    assert ours.json()["id"] not in globex.get("/v1/charges?limit=100").text
    assert_problem(globex.get(f"/v1/charges?starting_after={ours.json()['id']}"), 404, "cursor_not_found")
    assert globex.get("/v1/idempotency-keys/shared-key").json()["charge_id"] == theirs.json()["id"]
    assert {each["currency"] for each in globex.get("/v1/balance").json()["balances"]} == {"eur"}


def test_a_read_after_an_answer_shows_its_effect(acme: httpx.Client) -> None:
    """At once, each time: charge, list and key."""
    for _ in range(20):
        key = uuid.uuid4().hex
        made = post(acme, "/v1/charges", VALID, key).json()
        assert acme.get(f"/v1/charges/{made['id']}").json() == made
        assert acme.get("/v1/charges?limit=1").json() == {"object": "list", "data": [made], "has_more": True}
        life = acme.get(f"/v1/idempotency-keys/{key}").json()
        assert (life["state"], life["charge_id"], life["attempts"], life["executions"]) == (
            "completed",
            made["id"],
            1,
            1,
        )


def test_lists_are_pages_newest_first(globex: httpx.Client) -> None:
    """20 by default, cursors go on where the page ended, the last one says so."""
    made = [charge(globex, amount=number)["id"] for number in range(1, 26)]
    first = globex.get("/v1/charges").json()
    assert [each["id"] for each in first["data"]] == made[:4:-1]
    assert first["has_more"] is True
    rest: list[str] = []
    page = first
    while page["has_more"]:
        page = globex.get(f"/v1/charges?limit=7&starting_after={page['data'][-1]['id']}").json()
        rest += [each["id"] for each in page["data"]]
    assert rest[:5] == made[4::-1]
    assert page["has_more"] is False


def test_a_balance_is_the_fold_of_the_answers(shop: World) -> None:
    """Holds, captures and refunds per currency."""
    with shop.client() as acme:
        before = {each["currency"]: each for each in acme.get("/v1/balance").json()["balances"]}.get("sek")
        assert before is None
        charge(acme, currency="sek", amount=70, capture=False)
        paid = charge(acme, currency="sek", amount=30)
        post(acme, f"/v1/charges/{paid['id']}/refunds", {"amount": 10})
        after = {each["currency"]: each for each in acme.get("/v1/balance").json()["balances"]}["sek"]
    assert after == {"currency": "sek", "authorized": 70, "captured": 30, "refunded": 10, "net": 20}


@pytest.mark.parametrize("key", ["a/b", "a b", 'say "hi"', "%2F", "k?x=1#y", "back\\slash", "~" * 255])
def test_any_key_can_be_looked_up(acme: httpx.Client, key: str) -> None:
    """Percent-encoded in the path, whatever its characters."""
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    made = post(acme, "/v1/charges", VALID, quoted)
    assert made.status_code == 201
    life = acme.get(f"/v1/idempotency-keys/{quote(key, safe='')}").json()
    assert (life["key"], life["state"], life["body"]) == (key, "completed", made.text)
    assert_problem(acme.get("/v1/idempotency-keys/never-used"), 404, "idempotency_key_not_found")


def test_fifty_posts_with_one_key_over_two_gateways_are_one_charge(shop: World) -> None:
    """All get the same bytes; exactly one is not marked as a replay."""
    with shop.client() as one, shop.client() as two, ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda n: post((one, two)[n % 2], "/v1/charges", VALID, "double-click"), range(50)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        life = one.get("/v1/idempotency-keys/double-click").json()
    assert (life["attempts"], life["executions"]) == (50, 1)


def test_in_conflict_mode_one_gateway_answers_duplicates_in_flight_409(shop: World) -> None:
    """The others are the one charge, or told to come again; afterwards everybody gets the replay."""
    with shop.client(gateway=1) as client, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(client, "/v1/charges", VALID, "in-flight"), range(20)))
        conflicts = [answer for answer in answers if answer.status_code == 409]
        assert conflicts
        for conflict in conflicts:
            assert_problem(conflict, 409, "idempotency_key_in_flight")
            assert conflict.headers["retry-after"] == "1"
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        again = post(client, "/v1/charges", VALID, "in-flight")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")


def test_without_a_key_each_request_is_a_new_one(shop: World) -> None:
    """Where enforcement is optional; where it is strict they are refused."""
    with shop.client(gateway=1) as client:
        first, second = (post(client, "/v1/charges", VALID, None) for _ in range(2))
    assert first.json()["id"] != second.json()["id"]
    assert "idempotent-replayed" not in second.headers


def test_a_client_that_goes_away_is_charged_once(shop: World) -> None:
    """Its command is on the log: the charge happens, and a retry finds it."""
    body = json.dumps(VALID).encode()
    with connect(shop.url) as connected:
        connected.sendall(
            b"POST /v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk_acme\r\nIdempotency-Key: gone\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
    with shop.client() as client:
        wait_until_sync(
            lambda: client.get("/v1/idempotency-keys/gone").status_code == 200,
            timeout_s=10,
            message="the abandoned request's command never came to the log",
        )
        again = post(client, "/v1/charges", VALID, "gone")
        assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
        assert client.get("/v1/idempotency-keys/gone").json()["executions"] == 1
