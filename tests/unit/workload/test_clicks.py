"""What one click becomes: bytes on a real connection, and lines of history."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
import pytest

from simulator.history import KINDS
from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Outcome, Persona, Resend, Visit
from simulator.workload.kafka_errand import Attempt, End, Errand, Merchant, json_of
from simulator.workload.load import Door, Load
from simulator.workload.personas import BY_NAME
from simulator.workload.plan import Purchase, Step

CHARGE = {"amount": 100, "currency": "eur", "payment_method": "pm_card_visa"}
ANSWER = b'{"id":"ch_0","object":"charge"}'
DIES, SILENT, HALF = 0, -1, -2
Heard = list[tuple[int, bytes]]  # which connection, and the whole request


class Scripted(Persona):
    """Makes these turns, and keeps what came of them."""

    name = "scripted"
    help = "whatever a test wants"
    expects = Expects.CHARGED_ONCE

    def __init__(self, *turns: tuple[Click, ...]) -> None:
        self.turns = turns
        self.outcomes: list[Outcome] = []

    def visit(self, rng: Chance) -> Visit:
        for turn in self.turns:
            self.outcomes += yield turn


@asynccontextmanager
async def gateway(head: Callable[[int], int], heard: Heard, retry_after: str = "") -> AsyncIterator[Door]:
    """Answers the n-th request with this status, or its connection dies, or says nothing, or half of an answer."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                length = int(request.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                heard.append((number, request + await reader.readexactly(length)))
                status = head(len(heard))
                if status == DIES:
                    return
                if status == SILENT:
                    await asyncio.sleep(10.0)
                if status == HALF:
                    writer.write(b"HTTP/1.1 201 X\r\n")
                    await writer.drain()
                    return
                more = f"Retry-After: {retry_after}\r\n".encode() if retry_after else b""
                writer.write(b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, more, len(ANSWER), ANSWER))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Door.at(f"gateway {id(heard)}", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")


async def visit(
    monkeypatch: pytest.MonkeyPatch, persona: Scripted, *heads: Callable[[int], int], retry_after: str = ""
) -> tuple[list[Heard], list[dict[str, Any]]]:
    """One purchase at as many gateways as there are heads: what each heard, and the history."""
    monkeypatch.setitem(BY_NAME, persona.name, persona)
    history: list[dict[str, Any]] = []
    heard: list[Heard] = [[] for _ in heads]
    async with AsyncExitStack() as stack:
        doors = [
            await stack.enter_async_context(gateway(head, at, retry_after))
            for head, at in zip(heads, heard, strict=True)
        ]
        load = Load(1, doors, {"shop": "key"}, history.append)
        purchase = Purchase(0.0, 1, "shop", persona.name, Step("i-1", "charge.create", CHARGE, 0.0), ())
        await load.run([purchase], grace_s=10.0)
    return heard, history


def kinds(history: list[dict[str, Any]]) -> list[str]:
    assert {line["kind"] for line in history} <= KINDS
    return [line["kind"] for line in history]


async def test_a_kept_connection_that_dies_is_replaced_by_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bytes go out on a new connection, and the page sees one request with one answer."""
    persona = Scripted((Click("warm"),), (Click("k", resend=Resend.CLIENT),))
    (heard,), history = await visit(monkeypatch, persona, lambda n: DIES if n == 2 else 201)
    assert [connection for connection, _ in heard] == [1, 1, 2]
    assert heard[1][1] == heard[2][1]
    assert kinds(history) == ["intent", "invoke", "ok", "invoke", "resend", "ok"]
    assert [outcome.status for outcome in persona.outcomes] == [201, 201]


@pytest.mark.parametrize(
    ("resend", "clicks", "meant"),
    [
        (Resend.CLIENT, 1, "a new connection died: the browser leaves it at that"),
        (Resend.NOBODY, 2, "nobody resends"),
    ],
)
async def test_what_is_not_resent(monkeypatch: pytest.MonkeyPatch, resend: Resend, clicks: int, meant: str) -> None:
    """A request whose connection died is unknown where nobody sends it again."""
    persona = Scripted(*[(Click("k", resend=resend),)] * clicks)
    (heard,), history = await visit(monkeypatch, persona, lambda n: DIES if n == clicks else 201)
    assert len(heard) == clicks, meant
    assert kinds(history)[-1] == "info"
    assert persona.outcomes[-1].broken


@pytest.mark.parametrize("trouble", [SILENT, HALF])
async def test_what_was_begun_or_took_too_long_is_not_resent(monkeypatch: pytest.MonkeyPatch, trouble: int) -> None:
    """Not even by a proxy: an answer had begun, or the waiting ended while the connection lived."""
    persona = Scripted((Click("k", resend=Resend.PROXY, patience_ms=150.0),))
    (heard,), _ = await visit(monkeypatch, persona, lambda _: trouble)
    assert len(heard) == 1
    assert persona.outcomes[0].timed_out == (trouble == SILENT)


async def test_a_proxy_goes_to_the_next_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """It resends what died on a new connection too, to the other gateway, and no more than once."""
    persona = Scripted((Click("k", resend=Resend.PROXY),))
    heard, history = await visit(monkeypatch, persona, lambda _: DIES, lambda _: DIES)
    assert [len(at) for at in heard] == [1, 1]
    first, second = (request.split(b"\r\n") for ((_, request),) in heard)
    assert [line for line in first if b"Host" not in line] == [line for line in second if b"Host" not in line]
    assert kinds(history) == ["intent", "invoke", "resend", "info"]


async def test_a_changed_amount_is_sent_and_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wire and the history have the new amount; the rest of the request and the intent are as they were."""
    persona = Scripted((Click("k"),), (Click("k", add_amount=25),))
    (heard,), history = await visit(monkeypatch, persona, lambda _: 201)
    assert [orjson.loads(request.split(b"\r\n\r\n")[1]) for _, request in heard] == [CHARGE, CHARGE | {"amount": 125}]
    assert [line["payload"] for line in history if "payload" in line] == [CHARGE, CHARGE, CHARGE | {"amount": 125}]


async def test_a_click_that_an_answer_made_needless_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent and nothing is written down; the persona is told that it did not click."""
    persona = Scripted((Click("k"), Click("k", delay_ms=200.0, if_unanswered=True)))
    (heard,), history = await visit(monkeypatch, persona, lambda _: 201)
    assert len(heard) == 1
    assert kinds(history) == ["intent", "invoke", "ok"]
    assert [outcome.kind for outcome in persona.outcomes] == ["ok", "none"]


@pytest.mark.parametrize(("said", "meant_ms"), [("", None), ("0", 0.0), ("2", 2_000.0)])
async def test_retry_after_is_heard(monkeypatch: pytest.MonkeyPatch, said: str, meant_ms: float | None) -> None:
    """In milliseconds, and told apart from an answer that has none."""
    persona = Scripted((Click("k"),))
    await visit(monkeypatch, persona, lambda _: 429, retry_after=said)
    assert persona.outcomes[0].retry_after_ms == meant_ms
    assert persona.outcomes[0].come_back == bool(said)


def test_an_unreachable_gateway_is_a_broken_connection() -> None:
    """What client libraries call a network error is a connection that was refused or died, not a time-out."""
    assert Outcome("fail").broken
    assert Outcome("info").broken
    assert not any(
        outcome.broken for outcome in (Outcome("info", timed_out=True), Outcome("info", 504), Outcome("none"))
    )


def test_a_customer_on_the_log_asks_for_the_changed_amount_too() -> None:
    """The command has the new amount and the charge it is about; an unchanged click shares what is encoded once."""
    step = Step("i-1-capture", "charge.capture", {"amount": 100}, 0.0)
    shop = Merchant(b"shop", '"shop"', 0)
    errand = Errand(Purchase(0.0, 1, "shop", "careful", step, ()), shop, 0, "ch_1", 1, 0.0)
    assert errand.asking(Click("k")) is errand.payload
    assert orjson.loads(errand.asking(Click("k", add_amount=25))) == {"amount": 125, "charge_id": "ch_1"}


def test_what_a_customer_on_the_log_says_is_json_whatever_it_says() -> None:
    """Names, keys, answers and reasons with quotes and lines in them come back as they were; no key is null."""
    odd = 'a "b" \\ \n é'
    step = Step(odd, "charge.create", CHARGE, 0.0)
    shop = Merchant(odd.encode(), json_of(odd), 0)
    errand = Errand(Purchase(0.0, 1, odd, "careful", step, ()), shop, 0, None, 1, 0.0)
    command = errand.command("c-1", json_of(None), errand.payload, 7, 9)
    attempt = errand.attempt(0, 0.0, b"c-1", command)
    assert orjson.loads(command) == {
        "command_id": "c-1", "type": "charge.create", "merchant_id": odd, "idempotency_key": None,
        "issued_at": 7, "deadline_at": 9, "payload": CHARGE,
    }  # fmt: skip
    assert [orjson.loads(line) for line in said(errand, attempt, odd)] == [
        {"kind": "intent", "intent": odd, "at": 7, "planned_at": 6, "merchant_id": odd, "operation": "charge.create",
         "payload": CHARGE, "persona": "careful"},
        {"kind": "invoke", "intent": odd, "attempt": 1, "at": 7, "planned_at": 6, "merchant_id": odd,
         "idempotency_key": odd, "operation": "charge.create", "payload": CHARGE, "gateway": None, "command_id": "c-1"},
        {"kind": "ok", "intent": odd, "attempt": 1, "at": 8, "status": 201, "replayed": True, "body": odd},
        {"kind": "fail", "intent": odd, "attempt": 1, "at": 8, "status": None, "reason": odd},
        {"kind": "info", "intent": odd, "attempt": 1, "at": 8, "reason": odd},
    ]  # fmt: skip


def said(errand: Errand, attempt: Attempt, odd: str) -> list[str]:
    ends = (End("ok", 201, True, odd), End("fail", reason=odd), End("info", reason=odd))
    return [
        errand.meant(7, 6),
        errand.invoked(attempt, "c-1", json_of(odd), errand.payload, 7, 6),
        *(errand.ended(attempt, end, 8) for end in ends),
    ]
