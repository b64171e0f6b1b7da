"""Customers who insist: each step is posted, with one key, at one gateway or the other, until it has a final answer.

In:      the stack, the planned payments; AT_ONCE of them are under way at any time.
Out:     every final answer that arrived, as bytes; how often there was none, by reason.
Units:   seconds.
Errors:  none: a step that nobody answers within INSIST_S is told in `unanswered`.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.outside.contract import OPERATIONS, fingerprint
from tests.support.outside.http import Broken, Http, Response
from tests.support.outside.plan import Payment, Step
from tests.support.outside.stack import Stack

INSIST_S = 90.0
AT_ONCE = 40
TELL_EVERY = 250
PAUSE_S = (0.05, 0.6)
PATIENCE_S = (0.03, 0.3, 6.0)  # some give up while their command is on its way
NOT_FINAL = frozenset({"command_expired", "idempotency_key_in_flight"})


@dataclass(frozen=True)
class Answer:
    """A final answer, and what it answers."""

    payment: int
    step: int
    merchant: str
    key: str
    operation: str
    fingerprint: str
    status: int
    body: bytes
    replayed: bool
    is_rival: bool

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


class Customers:
    def __init__(self, stack: Stack, seed: int) -> None:
        self.answers: list[Answer] = []
        self.hitches: Counter[str] = Counter()
        self.unanswered: list[str] = []
        self.posts = 0
        self.begun = 0
        self._stack = stack
        self._seed = seed
        self._http = Http()
        self._seats = asyncio.Semaphore(AT_ONCE)

    def __str__(self) -> str:
        return f"[{self.begun} payments, {len(self.answers)} answers]"

    async def run(self, payments: Sequence[Payment], tell: Callable[[str], None] = lambda _: None) -> None:
        """Returns when all of them are through."""
        async with asyncio.TaskGroup() as group:
            for payment in payments:
                await self._seats.acquire()
                self.begun += 1
                if self.begun % TELL_EVERY == 0:
                    tell(str(self))
                group.create_task(self._pay(payment)).add_done_callback(lambda _: self._seats.release())
        self._http.close()

    async def _pay(self, payment: Payment) -> None:
        rng = random.Random(f"{self._seed} customer {payment.number}")
        charges: dict[int, str] = {}
        for number, step in enumerate(payment.steps):
            charge = step.unknown_charge if step.about is None else charges.get(step.about)
            if step.action != "create" and charge is None:
                return  # its first step has no charge, which is told already
            bodies = [(step.body, False)] * step.at_once
            if step.rival is not None:
                bodies.insert(rng.randrange(2), (step.rival, True))
            found = await asyncio.gather(
                *(self._insist(rng, payment, number, step, charge, body, is_rival) for body, is_rival in bodies)
            )
            for _ in range(step.replays):
                found.append(await self._insist(rng, payment, number, step, charge, step.body, False))
            first = next((one for one in found if one is not None and one.status == 201), None)
            if step.action == "create" and first is not None:
                charges[number] = first.content["id"]

    async def _insist(
        self,
        rng: random.Random,
        payment: Payment,
        number: int,
        step: Step,
        charge: str | None,
        body: dict[str, Any],
        is_rival: bool,
    ) -> Answer | None:
        rng = random.Random(rng.getrandbits(64))  # its own: those who post at once stay independent
        operation = OPERATIONS[step.action]
        payload = body if charge is None or step.action == "create" else {**body, "charge_id": charge}
        deadline = time.monotonic() + INSIST_S
        while time.monotonic() < deadline:
            answered = await self._post(rng, payment.merchant, step, charge, body)
            if answered is not None and not self._is_open(answered):
                answer = Answer(
                    payment.number,
                    number,
                    payment.merchant,
                    step.key,
                    operation,
                    fingerprint(operation, payload),
                    answered.status,
                    answered.body,
                    answered.headers.get("idempotent-replayed") == "true",
                    is_rival,
                )
                self.answers.append(answer)
                return answer
            await asyncio.sleep(rng.uniform(*PAUSE_S))
        self.unanswered.append(f"payment {payment.number} step {number} of {payment.merchant} under {step.key!r}")
        return None

    async def _post(
        self, rng: random.Random, merchant: str, step: Step, charge: str | None, body: dict[str, Any]
    ) -> Response | None:
        action = {"create": "", "refund": f"/{charge}/refunds"}.get(step.action, f"/{charge}/{step.action}")
        headers = {
            "Authorization": f"Bearer {self._stack.api_keys[merchant]}",
            "Idempotency-Key": _as_header(rng, step.key),
            "Content-Type": "application/json",
        }
        self.posts += 1
        try:
            return await self._http.request(
                "POST",
                rng.choice(self._stack.gateways),
                f"/v1/charges{action}",
                headers,
                _as_body(rng, body),
                rng.choices(PATIENCE_S, (2, 3, 95))[0],
            )
        except Broken as error:
            self.hitches[str(error)] += 1
        return None

    def _is_open(self, answered: Response) -> bool:
        """Whether the outcome is still open: the customer asks again."""
        code = json.loads(answered.body).get("code") if answered.status >= 400 else None
        is_open = answered.status >= 500 or code in NOT_FINAL
        if is_open:
            self.hitches[f"{answered.status} {code}"] += 1
        return is_open


def _as_header(rng: random.Random, key: str) -> str:
    """Quoted or bare, where bare is allowed: one key all the same."""
    if any(mark in key for mark in ',;"\\ ') or rng.random() < 0.5:
        return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return key


def _as_body(rng: random.Random, body: dict[str, Any]) -> bytes:
    """The same request, written another way each time."""
    items = list(body.items())
    rng.shuffle(items)
    if not items and rng.random() < 0.5:
        return b""
    return json.dumps(dict(items), ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1))).encode()
