"""The ledger, asked over HTTP, beside an own fold of the events.

In:      the stack, once it is settled; a Book.
Out:     charges, balances and lives of keys as GETs tell them; for each check what it found wrong.
Units:   minor units.
Source:  docs/contract.md, "HTTP"; docs/ledger.md: every event record is booked, also one that stands there twice.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.support.outside.book import Book, Entry
from tests.support.outside.http import Broken, Http
from tests.support.outside.stack import Stack

WITHIN_S = 30.0
PATIENCE_S = 10.0
PAGE = 100
Charges = dict[str, list[dict[str, Any]]]
Balances = dict[str, dict[str, dict[str, int]]]
SUMS = ("authorized", "captured", "refunded", "net")


@dataclass(frozen=True)
class Told:
    """What the gateways say: charges newest first, balances by currency, the lives of some keys."""

    charges: Charges
    balances: Balances
    keys: dict[tuple[str, str], dict[str, Any]]


async def ask(stack: Stack, keys: Sequence[tuple[str, str]]) -> Told:
    """Every charge and balance, page by page, over each gateway in turn."""
    asker = _Asker(stack)
    charges: Charges = {}
    balances: Balances = {}
    for merchant in stack.api_keys:
        charges[merchant] = [charge async for charge in asker.charges(merchant)]
        told = await asker.get(merchant, "/v1/balance")
        balances[merchant] = {one.pop("currency"): one for one in told["balances"]}
    lives = {
        (merchant, key): await asker.get(merchant, f"/v1/idempotency-keys/{quote(key, safe='')}")
        for merchant, key in keys
    }
    asker.http.close()
    return Told(charges, balances, lives)


class _Asker:
    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.http = Http()
        self._count = 0

    async def charges(self, merchant: str) -> Any:
        after = ""
        while True:
            page = await self.get(merchant, f"/v1/charges?limit={PAGE}{after}")
            for charge in page["data"]:
                yield charge
            if not page["has_more"]:
                return
            after = f"&starting_after={page['data'][-1]['id']}"

    async def get(self, merchant: str, path: str) -> dict[str, Any]:
        """Asked again while the read model is behind, WITHIN_S at most."""
        deadline = time.monotonic() + WITHIN_S
        headers = {"Authorization": f"Bearer {self._stack.api_keys[merchant]}"}
        while True:
            self._count += 1
            gateway = self._stack.gateways[self._count % len(self._stack.gateways)]
            try:
                answer = await self.http.request("GET", gateway, path, headers, b"", PATIENCE_S)
                said = f"{answer.status} {answer.body[:200]!r}"
                if answer.status == 200:
                    content: dict[str, Any] = json.loads(answer.body)
                    return content
            except Broken as error:
                said = str(error)
            assert time.monotonic() < deadline, f"GET {path} of {merchant} was not answered: {said}"
            await asyncio.sleep(0.1)


def charges_are_the_fold(book: Book, told: Told) -> Iterator[str]:
    """GET /v1/charges has each charge of the log once, newest first, as its events leave it."""
    wanted: Charges = {merchant: [] for merchant in told.charges}
    for entries in book.events_by_charge().values():
        wanted[entries[0].content["merchant_id"]].insert(0, entries[-1].content["data"]["charge"])
    for merchant, charges in told.charges.items():
        if charges != wanted[merchant]:
            differ = [one["id"] for one in charges if one not in wanted[merchant]]
            yield f"{merchant} is told {len(charges)} charges instead of {len(wanted[merchant])}; differ: {differ[:3]}"


def balances_are_the_fold(book: Book, told: Told) -> Iterator[str]:
    """GET /v1/balance is the sum of what every event record moved."""
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in book.events:
        event = one.content
        total, amount = sums[event["merchant_id"], event["currency"]], event["amount"]
        match event["type"]:
            case "charge.authorized":
                total["authorized"] += amount
            case "charge.succeeded":
                total["captured"] += amount
            case "charge.captured":
                total["authorized"] -= event["data"]["charge"]["amount"]
                total["captured"] += amount
            case "charge.voided":
                total["authorized"] -= amount
            case "charge.refunded":
                total["refunded"] += amount
    found = {(merchant, currency) for merchant, balances in told.balances.items() for currency in balances}
    for merchant, currency in found | set(sums):
        total = sums[merchant, currency]
        total["net"] = total["captured"] - total["refunded"]
        said = told.balances[merchant].get(currency, {})
        if any(said.get(name, 0) != total[name] for name in SUMS):
            yield f"{merchant} is told {said} {currency}; its events come to {dict(total)}"


def events_fold(book: Book) -> Iterator[str]:
    """Each charge's events are numbered from 1, and each carries the charge as the events so far make it."""
    for charge_id, entries in book.events_by_charge().items():
        if [one.content["sequence"] for one in entries] != list(range(1, len(entries) + 1)):
            yield f"the events of {charge_id} are numbered {[one.content['sequence'] for one in entries]}"
            continue
        state: dict[str, Any] = {}
        for one in entries:
            state = _after(state, one)
            shown = one.content["data"]["charge"]
            if {name: shown[name] for name in state} != state:
                yield f"{charge_id} is shown as {shown} after event {one.content['sequence']}, not as {state}"
        if state["amount_refunded"] > state["amount_captured"] or state["amount_captured"] > state["amount"]:
            yield f"{charge_id} came to {state}"


def _after(state: dict[str, Any], entry: Entry) -> dict[str, Any]:
    event = entry.content
    amount = event["amount"]
    match event["type"]:
        case "charge.captured":
            assert state["status"] == "authorized", f"{event['charge_id']} was captured while {state['status']}"
            return {**state, "status": "captured", "captured": True, "amount_captured": amount}
        case "charge.voided":
            assert state["status"] == "authorized", f"{event['charge_id']} was voided while {state['status']}"
            return {**state, "status": "voided"}
        case "charge.refunded":
            back = state["amount_refunded"] + amount
            status = "refunded" if back == state["amount_captured"] else "partially_refunded"
            return {**state, "status": status, "amount_refunded": back}
    at_once = event["type"] == "charge.succeeded"
    return {
        "id": event["charge_id"],
        "merchant_id": event["merchant_id"],
        "status": event["type"].removeprefix("charge."),
        "amount": amount,
        "currency": event["currency"],
        "captured": at_once,
        "amount_captured": amount if at_once else 0,
        "amount_refunded": 0,
        "created_at": event["occurred_at"],
    }


def keys_have_one_life(book: Book, told: Told) -> Iterator[str]:
    """GET /v1/idempotency-keys: completed, with the record's answer, every attempt and every execution."""
    records = {one.key: one.content for one in book.keys}  # the newest, where there are several
    executions = Counter(f"{one.content['merchant_id']}/{one.content['idempotency_key']}" for one in book.events)
    attempts: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for command in book.commands:
        attempts[command.key].append(command.entry.place)
    for (merchant, key), life in told.keys.items():
        record = records[f"{merchant}/{key}"]
        asked = attempts[f"{merchant}/{key}"]
        wanted = ("completed", record["status"], record["body"], len(asked), executions[f"{merchant}/{key}"])
        said = tuple(life[name] for name in ("state", "status", "body", "attempts", "executions"))
        if said != wanted:
            yield f"the life of {merchant}/{key} is told as {said} instead of {wanted}"
        if [(one["partition"], one["offset"]) for one in life["commands"]] != asked:
            yield f"the life of {merchant}/{key} tells other commands than there are"
