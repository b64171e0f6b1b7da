"""What a client can do against paying twice, and what each of it is worth beside what the server does.

In:      RunResults of one scenario, one for each server, and their histories.
Out:     `Cell`s: for each defence and server how many customers paid, who was charged again, and for how much.
Units:   counts of intents; money in minor units per currency.
Source:  pure but for reading the history. Money is the auditor's: every execution beyond the first of one intent.

All defences come in one mix, so that they meet the same system, the same hour and the same losses.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from events.guarantees import Guarantee
from simulator.audit.report import Repeat
from simulator.scenario.models import Load, Merchants, Scenario, Stage, System


class Defence(NamedTuple):
    advice: str  # as people give it
    persona: str  # who follows it


DEFENCES: Final = (
    Defence("nothing", "no_key"),
    Defence("a disabled button", "no_key_disabled_button"),
    Defence("backoff", "no_key_backoff"),
    Defence("a key for each click", "key_per_click"),
    Defence("a key for each retry, and backoff", "key_per_retry"),
    Defence("one key, lost on reload", "app_killed_new_key"),
    Defence("one key, kept in localStorage", "app_killed"),
    Defence("one key, kept, and backoff", "careful"),
    Defence("a changed amount under a new key", "changed_amount_new_key"),
    Defence("a changed amount under the same key", "changed_amount"),
)


class Server(NamedTuple):
    name: str
    guarantee: Guarantee
    enforcement: str
    means: str

    @property
    def folder(self) -> str:
        """Of its run, within that of the comparison."""
        return self.name.replace(" ", "-")


SERVERS: Final = (
    Server("strict", Guarantee.EXACTLY_ONCE, "strict", "exactly-once, a key is required"),
    Server("optional", Guarantee.EXACTLY_ONCE, "optional", "exactly-once, a key may be left out"),
    Server("no dedupe", Guarantee.AT_LEAST_ONCE, "optional", "at-least-once: keys decide nothing"),
)


class Advice(NamedTuple):
    """What is often said, where it is tried, and who does it better."""

    says: str
    persona: str
    server: str
    instead: str | None  # a persona that the same server charged once; None: no client can do better


ADVICE: Final = (
    Advice("Disable the button while the payment runs.", "no_key_disabled_button", "optional", "careful"),
    Advice("Wait longer before each new attempt.", "no_key_backoff", "optional", "careful"),
    Advice("Send a fresh key with every click.", "key_per_click", "strict", "careful"),
    Advice("Send a fresh key with every retry, and back off.", "key_per_retry", "strict", "careful"),
    Advice("The page may keep the key in memory.", "app_killed_new_key", "strict", "app_killed"),
    Advice("A changed amount is a new payment: take a new key.", "changed_amount_new_key", "strict", "changed_amount"),
    Advice("A client that keeps its key is safe.", "careful", "no dedupe", None),
)
PAID: Final = 201
NO_ANSWER: Final = "none"
WITHOUT_A_KEY: Final = frozenset({"no_key", "no_key_disabled_button", "no_key_backoff"})
KEY_KEPT: Final = frozenset({"app_killed", "careful", "changed_amount"})  # one key for all attempts


@dataclass
class Cell:
    intents: int = 0
    paid: int = 0  # answered 201 at some time
    again: int = 0  # executions beyond the first
    customers: int = 0  # who were charged again
    money: dict[str, int] = field(default_factory=dict)  # taken beyond the first
    not_paid: dict[str, int] = field(default_factory=dict)  # who got no 201, by the status they heard last

    def to_json(self) -> dict[str, Any]:
        return {
            "intents": self.intents,
            "paid": self.paid,
            "charged_again": self.again,
            "customers_charged_again": self.customers,
            "overcharged": dict(sorted(self.money.items())),
            "not_paid": dict(sorted(self.not_paid.items())),
        }


def scenario_for(server: Server, base: Scenario) -> Scenario:
    """The base's customers replaced by one of each defence, before this server. Cards are good, all only pay."""
    load = base.load.model_copy(
        update={
            "personas": {defence.persona: 1 for defence in DEFENCES},
            "cards": {"pm_card_visa": 1},
            "journeys": {"pay": 1},
        }
    )
    system = base.system.model_copy(update={"guarantee": server.guarantee, "enforcement": server.enforcement})
    return base.model_copy(update={"load": load, "system": system, "thresholds": ()})


def base_scenario() -> Scenario:
    """Lossy for as long as it lasts; no process dies, so that whatever is charged again is the client's doing."""
    return Scenario.model_validate(
        {
            "name": "defences",
            "about": "One customer in four loses a request or an answer, and each defends itself in its own way.",
            "system": System().model_dump(mode="json", by_alias=True),
            "load": Load(stages=(Stage(for_="20s", rate=50.0),), merchants=Merchants(count=4)).model_dump(
                mode="json", by_alias=True
            ),
            "faults": [
                {"fault": "lose_response", "at": ["500ms"], "lasts": "18s", "share": 0.25},
                {"fault": "lose_request", "at": ["500ms"], "lasts": "18s", "share": 0.05},
            ],
        }
    )


def cells(history: Iterable[Mapping[str, Any]], repeats: Iterable[Repeat]) -> dict[str, Cell]:
    """One server's column, by persona."""
    persona: dict[str, str] = {}
    found = {defence.persona: Cell() for defence in DEFENCES}
    heard: dict[str, int | None] = {}  # the newest answer, but a 201 for good
    for line in history:
        if line["kind"] == "intent":
            persona[line["intent"]] = line["persona"]
            heard[line["intent"]] = None
            found[line["persona"]].intents += 1
        elif line["kind"] == "ok" and heard[line["intent"]] != PAID:
            heard[line["intent"]] = line["status"]
    for intent, status in heard.items():
        cell = found[persona[intent]]
        if status == PAID:
            cell.paid += 1
        else:
            name = NO_ANSWER if status is None else str(status)
            cell.not_paid[name] = cell.not_paid.get(name, 0) + 1
    customers: Counter[str] = Counter()
    for repeat in repeats:
        cell = found[persona[repeat.intent]]
        cell.again += 1
        cell.money[repeat.currency] = cell.money.get(repeat.currency, 0) + repeat.amount
        customers[repeat.intent] += 1
    for intent in customers:
        found[persona[intent]].customers += 1
    return found


def lessons(table: Mapping[str, Mapping[str, Cell]]) -> list[str]:
    """What the table shows, in sentences; each stands on cells that were seen. `table` is by server, then persona."""
    told = []
    optional, strict = table["optional"], table["strict"]
    page_only = [name for name in ("no_key_disabled_button", "no_key_backoff") if optional[name].again]
    if page_only:
        told.append(
            "A disabled button and a backoff space the attempts out and do not make them one payment: without a key "
            f"{sum(optional[name].customers for name in page_only)} of those customers paid again."
        )
    if strict["app_killed_new_key"].again and not strict["app_killed"].again:
        told.append(
            "A key that dies with the page is a new key after the reload: "
            f"{strict['app_killed_new_key'].customers} customers paid again, and none of those whose key was kept."
        )
    if strict["changed_amount_new_key"].again and not strict["changed_amount"].again:
        told.append(
            "“A new key for a new amount” charges twice while the first attempt is in doubt "
            f"({strict['changed_amount_new_key'].customers} customers); under the same key they got 422 and knew."
        )
    useless = [name for name, cell in table["no dedupe"].items() if cell.again]
    if "careful" in useless:
        told.append("Without a server that remembers, no key helps: the careful customers paid again too.")
    return told


def defences_json(seed: int, table: Mapping[str, Mapping[str, Cell]], told: list[str]) -> dict[str, Any]:
    """What defences.json holds (docs/defences.schema.json), of the servers that were come to."""
    return {
        "schema": 1,
        "seed": seed,
        "servers": {server.name: server.means for server in SERVERS},
        "folders": {server.name: server.folder for server in SERVERS if server.name in table},
        "cells": {server: {name: cell.to_json() for name, cell in column.items()} for server, column in table.items()},
        "lessons": told,
    }
