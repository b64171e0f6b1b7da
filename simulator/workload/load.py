"""Let the planned customers in at their planned instants, and write down everything they do and see.

In:      purchases (plan), gateways, API keys, where to write the history.
Out:     history lines intent, invoke, ok, fail, info, resend; a Tally.
Units:   planned instants in milliseconds from the start; history instants in Unix milliseconds.
Errors:  none: whatever the system does to a customer is an outcome.
Source:  open loop: nobody waits for anybody else's answer (k6's arrival rate, wrk2). Bounded all the same: a
         customer who finds `customers_max` others still waiting is counted as dropped and does not come. Latency
         counts from the plan: of a first click the planned instant, of what follows an answer that instant and the
         customer's own pause, never the moment when our loop got round to it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import orjson

from events.operations import OPERATIONS
from simulator.open_files import allow_open_files
from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Outcome, Resend
from simulator.workload.http_client import Answer, HttpClient, NotSentError, OutcomeUnknownError
from simulator.workload.outcomes import outcome_of
from simulator.workload.personas import BY_NAME
from simulator.workload.plan import Purchase, Step, customer_rng
from simulator.workload.rare_gc import rare_collection
from simulator.workload.tally import Tally

# One waiting customer is 18 KiB and 1.25 connections (some click twice), and a connection is up to three descriptors of
# this process: its own end, and both of the proxy that faults put before a gateway.
DESCRIPTORS_A_CUSTOMER: Final = 4
CUSTOMERS_MAX: Final = 20_000  # 360 MiB
BEHIND_IN_A_ROW_MAX: Final = 16  # customers let in at once when we are late, before answers are looked at again
Record = Callable[[dict[str, Any]], None]

_PATHS = {operation.name: operation.path for operation in OPERATIONS}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Door:
    """One way to a gateway: its name in the history, and where customers connect."""

    name: str
    client: HttpClient

    @classmethod
    def at(cls, name: str, url: str) -> "Door":
        parts = urlsplit(url)
        return cls(name, HttpClient(parts.hostname or "127.0.0.1", parts.port or 80))


class Load:
    """One run's customers."""

    def __init__(
        self,
        seed: int,
        doors: Sequence[Door],
        api_keys: Mapping[str, str],
        record: Record,
        warm_up_s: float = 0.0,
    ) -> None:
        self.tally = Tally(warm_up_s=warm_up_s)
        self.seed = seed
        self._doors = doors
        self._api_keys = api_keys
        self._record = record
        self._present: set[asyncio.Task[None]] = set()
        self._customers_max = CUSTOMERS_MAX
        self._broken: BaseException | None = None

    async def run(self, purchases: Sequence[Purchase], grace_s: float, began: float | None = None) -> None:
        """Returns when every customer has gone; who is still there `grace_s` after the last is sent away.

        `began` is the monotonic instant that the plan counts from; now when absent.
        """
        self._customers_max = customers_max(allow_open_files())
        self.tally.planned = len(purchases)
        self.tally.began = time.monotonic() if began is None else began
        watching = asyncio.create_task(self.tally.strain.watch())
        try:
            with rare_collection():
                await self._let_in(purchases)
                if self._present:
                    await asyncio.wait(self._present, timeout=grace_s)
        finally:
            watching.cancel()
            await self._close()
            await asyncio.gather(watching, return_exceptions=True)
            self.tally.latencies.finish()
        if self._broken is not None:
            raise self._broken

    async def _let_in(self, purchases: Sequence[Purchase]) -> None:
        behind = 0
        for purchase in purchases:
            due = self.tally.began + purchase.at_ms / 1_000.0
            wait_s = due - time.monotonic()
            behind = behind + 1 if wait_s <= 0 else 0
            if wait_s > 0 or behind % BEHIND_IN_A_ROW_MAX == 0:
                await asyncio.sleep(max(0.0, wait_s))
            if len(self._present) >= self._customers_max:
                self.tally.dropped += 1
                continue
            task = asyncio.create_task(self._purchase(purchase, due))
            self._present.add(task)
            task.add_done_callback(self._gone)
            if self._broken is not None:
                return

    def _gone(self, customer: asyncio.Task[None]) -> None:
        """Whatever the system does is an outcome; a customer that raises is our own bug, and ends the run."""
        self._present.discard(customer)
        if not customer.cancelled() and self._broken is None:
            self._broken = customer.exception()

    async def _close(self) -> None:
        for task in list(self._present):
            task.cancel()
        await asyncio.gather(*self._present, return_exceptions=True)
        for door in self._doors:
            door.client.close()

    async def _purchase(self, purchase: Purchase, due: float) -> None:
        """The charge, and, once it was made, what follows; a customer who was declined goes home."""
        charge_id: str | None = None
        since = due
        for step in purchase.steps:
            if step is not purchase.charge:
                since += step.pause_ms / 1_000.0
                await asyncio.sleep(max(0.0, since - time.monotonic()))
            answer = await _Errand(self, purchase, step, charge_id, since).run()
            since = time.monotonic()
            if answer is None or answer.status not in (200, 201):
                return
            if step is purchase.charge:
                charge_id = _charge_id(answer)
                if charge_id is None:
                    return

    async def click(
        self, errand: "_Errand", attempt: int, click: Click, rng: Chance, due: float
    ) -> tuple[Outcome, Answer | None, float]:
        """One HTTP request, planned for `due`, its two lines of history, and when it ended."""
        door = rng.choice(self._doors)
        head = {"intent": errand.step.intent, "attempt": attempt}
        payload, body = errand.asking(click)
        now = time.monotonic()
        if errand.comes and attempt == 1:
            self.tally.arrive(now, due)  # with the first request, as the history has it
        at = now_ms()
        self._record(
            {
                "kind": "invoke",
                **head,
                "at": at,
                "planned_at": at - round((now - due) * 1_000.0),
                "merchant_id": errand.merchant_id,
                "idempotency_key": click.key,
                "operation": errand.step.operation,
                "payload": payload,
                "gateway": door.name,
            }
        )
        self.tally.attempts += 1
        answer: Answer | None = None
        sent_at: float | None = None
        abandoned = timed_out = False
        end: dict[str, Any]
        try:
            answer = await self._send(errand, click, body, door, head)
            end, sent_at = _ending(answer), answer.sent_at
        except NotSentError as refused:
            end = {"kind": "fail", "status": None, "reason": str(refused)}
        except OutcomeUnknownError as unknown:
            end = {"kind": "info", "reason": str(unknown)}
            sent_at, abandoned, timed_out = unknown.sent_at, unknown.abandoned, unknown.timed_out
        except asyncio.CancelledError:
            self._record({"kind": "info", **head, "at": now_ms(), "reason": "the run ended"})
            raise
        at, ended = now_ms(), time.monotonic()  # one instant: histograms and history tell of the same
        self._record({"kind": end["kind"], **head, "at": at, **end})
        outcome = outcome_of(end["kind"], end.get("status"), replayed=bool(end.get("replayed")), abandoned=abandoned)
        self.tally.attempt(ended, outcome, due, sent_at)
        self._count(end)
        return Outcome(end["kind"], end.get("status"), _retry_after_ms(answer), timed_out), answer, ended

    async def _send(self, errand: "_Errand", click: Click, body: bytes, door: Door, head: Mapping[str, Any]) -> Answer:
        """The request, once more if its connection died and somebody resends silently."""
        headers = {
            "Authorization": f"Bearer {self._api_keys[errand.merchant_id]}",
            "Content-Type": "application/json",
        }
        if click.key is not None:
            headers["Idempotency-Key"] = f'"{click.key}"'
        try:
            return await door.client.request(
                "POST",
                errand.path,
                headers,
                body,
                patience_ms=click.patience_ms,
                vanishes_after_ms=click.vanishes_after_ms,
            )
        except OutcomeUnknownError as unknown:
            if not _resends(click.resend, unknown):
                raise
            if click.resend is Resend.PROXY:
                door = self._doors[(self._doors.index(door) + 1) % len(self._doors)]
            self._record({"kind": "resend", **head, "at": now_ms(), "gateway": door.name})
            left_ms = max(1.0, click.patience_ms - (time.monotonic() - unknown.sent_at) * 1_000.0)
            try:
                return await door.client.request("POST", errand.path, headers, body, patience_ms=left_ms, fresh=True)
            except NotSentError:
                raise unknown from None  # the first one had left all the same

    def _count(self, end: Mapping[str, Any]) -> None:
        self.tally.outcomes[end["kind"]] += 1
        if end.get("status") is not None:
            self.tally.statuses[end["status"]] += 1
        self.tally.replays += bool(end.get("replayed"))

    def meant(self, errand: "_Errand", persona: str) -> None:
        self.tally.intents += 1
        self._record(
            {
                "kind": "intent",
                "intent": errand.step.intent,
                "at": now_ms(),
                "planned_at": errand.planned_at,
                "merchant_id": errand.merchant_id,
                "operation": errand.step.operation,
                "payload": errand.payload,
                "persona": persona,
            }
        )


class _Errand:
    """One customer trying to get one step done: plays the persona's script against the gateways."""

    def __init__(self, load: Load, purchase: Purchase, step: Step, charge_id: str | None, since: float) -> None:
        self.load = load
        self.step = step
        self.comes = step is purchase.charge  # the first errand of its customer
        self.merchant_id = purchase.merchant_id
        self.payload = step.payload if charge_id is None else {**step.payload, "charge_id": charge_id}
        self.path = _PATHS[step.operation].format(charge_id=quote(charge_id or "", safe=""))
        self.body = orjson.dumps(step.payload)
        self._persona = BY_NAME[purchase.persona]
        self._since = since
        self.planned_at = now_ms() - round((time.monotonic() - since) * 1_000.0)
        self._turn_at = since  # when the customer decided on these clicks: by plan, then by the last answers
        self._attempts = 0
        self._answer: Answer | None = None  # the first that settled it

    def asking(self, click: Click) -> tuple[dict[str, Any], bytes]:
        """What this click asks for, with the charge and as it goes over the wire: the amount may have changed."""
        if not click.add_amount:
            return self.payload, self.body
        return click.changed(self.payload), orjson.dumps(click.changed(self.step.payload))

    async def run(self) -> Answer | None:
        rng = customer_rng(self.load.seed, self.step.intent)
        # Apart, so that a persona's choices do not depend on how many gateways there are.
        doors = Chance(f"{self.load.seed}/doors/{self.step.intent}")
        self.load.meant(self, self._persona.name)
        script = self._persona.visit(rng)
        try:
            turn = next(script)
            while True:
                outcomes = await asyncio.gather(*(self._click(click, doors) for click in turn))
                self._turn_at = time.monotonic()
                turn = script.send(tuple(outcomes))
        except StopIteration:
            return self._answer

    async def _click(self, click: Click, doors: Chance) -> Outcome:
        due = self._turn_at + click.delay_ms / 1_000.0
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if click.if_unanswered and self._answer is not None:
            return Outcome("none")
        self._attempts += 1
        outcome, answer, ended = await self.load.click(self, self._attempts, click, doors, due)
        if outcome.settles and self._answer is None:
            self._answer = answer
            self.load.tally.settle(ended, self._since)
        return outcome


def _ending(answer: Answer) -> dict[str, Any]:
    """How an answer is told: 503 says that nothing was sent, 504 that nobody knows; others are answers."""
    told = {
        "status": answer.status,
        "replayed": answer.headers.get("idempotent-replayed") == "true",
        "body": answer.body.decode("utf-8", "replace"),
        **({"come_back": True} if "retry-after" in answer.headers else {}),
    }
    if answer.status == 503:
        return {"kind": "fail", "status": 503, "reason": "the gateway was not available"}
    if answer.status == 504:
        return {"kind": "info", "status": 504, "reason": "the gateway had no answer in time"}
    return {"kind": "ok", **told}


def _resends(by: Resend, unknown: OutcomeUnknownError) -> bool:
    """Whether the connection died under the request, and `by` sends the same bytes on another then."""
    died = unknown.unheard and not unknown.abandoned and not unknown.timed_out
    return died and (by is Resend.PROXY or (by is Resend.CLIENT and unknown.kept))


def _retry_after_ms(answer: Answer | None) -> float | None:
    text = None if answer is None else answer.headers.get("retry-after")
    if text is None:
        return None
    return int(text) * 1_000.0 if text.isdecimal() else 0.0


def _charge_id(answer: Answer) -> str | None:
    try:
        charge_id = orjson.loads(answer.body)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return charge_id if isinstance(charge_id, str) else None


def customers_max(open_files: int) -> int:
    """How many may wait at once in a process that may have so many files open, or any number (RLIM_INFINITY is -1)."""
    return CUSTOMERS_MAX if open_files < 0 else min(CUSTOMERS_MAX, open_files // DESCRIPTORS_A_CUSTOMER)
