"""Customers whose commands go straight onto the log: the same plan and personas as over HTTP, without a gateway.

In:      purchases (a stream: it is read a moment ahead), a KafkaDoor, where to write the history.
Out:     the history and the Tally that `load.Load` makes; here an attempt is one command, a retry another with the
         same key.
Units:   seconds of the monotonic clock; history instants in Unix milliseconds.
Errors:  none: whatever the system does to a customer is an outcome. Our own door failing is raised.
Source:  as load.Load, but tens of thousands of commands a second: no task and no future for each customer, one heap
         of what is due next. The history is complete: an attempt is on file before its batch leaves.

Bounded: CUSTOMERS_MAX at once, the others are counted as dropped; all else is in proportion.
"""

import asyncio
import heapq
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from typing import Final

import orjson
from aiokafka import ConsumerRecord

from events.partitioner import partition_of
from simulator.workload.behaviour import Click, Outcome
from simulator.workload.command_ids import CommandIds
from simulator.workload.kafka_door import KafkaDoor, Letter
from simulator.workload.kafka_errand import Attempt, End, Errand, Merchant, json_of
from simulator.workload.load import now_ms
from simulator.workload.outcomes import outcome_of
from simulator.workload.plan import Purchase
from simulator.workload.rare_gc import rare_collection
from simulator.workload.tally import Tally

CUSTOMERS_MAX: Final = 100_000
AHEAD: Final = 2_000  # purchases planned before they are due
AHEAD_AT_ONCE: Final = 100
TICK_S: Final = 0.002  # each is four appends, whatever is in them: half as long costs a third more a command
DEADLINE_MS: Final = 80_000  # a gateway's: the answer timeout of 20 s, and a minute

RecordAll = Callable[[Sequence[str]], None]  # lines of JSON


class KafkaLoad:
    """One run's customers, as `Load` is; `run` once."""

    def __init__(self, seed: int, door: KafkaDoor, record_all: RecordAll, warm_up_s: float = 0.0) -> None:
        self.tally = Tally(warm_up_s=warm_up_s)
        self._seed = seed
        self._door = door
        self._record_all = record_all
        self._ids = CommandIds()
        self._lines: list[str] = []
        self._outgoing: list[Attempt] = []
        self._waiting: dict[bytes, Attempt] = {}  # by command id
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._patience: defaultdict[float, deque[tuple[float, bytes]]] = defaultdict(deque)  # each in its order
        self._numbers = count()
        self._present = 0
        self._merchants: dict[str, Merchant] = {}

    async def run(self, purchases: Iterable[Purchase], grace_s: float, began: float | None = None) -> None:
        """Returns when every customer has gone; who is still there `grace_s` after the last is sent away."""
        stream = iter(purchases)
        upcoming = deque(islice(stream, AHEAD))  # before the clock starts: planning takes its time
        self.tally.began = time.monotonic() if began is None else began
        watching = asyncio.create_task(self.tally.strain.watch())
        self._door.open(self)
        try:
            with rare_collection():
                await self._let_in(stream, upcoming)
                give_up_at = time.monotonic() + grace_s
                while self._present and time.monotonic() < give_up_at:
                    await self._tick(None)
        finally:
            self._send_away()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            self.tally.latencies.finish()

    async def _let_in(self, purchases: Iterator[Purchase], upcoming: deque[Purchase]) -> None:
        while upcoming:
            now = time.monotonic()
            came = 0
            while upcoming and (due := self.tally.began + upcoming[0].at_ms / 1_000.0) <= now:
                self._arrive(upcoming.popleft(), due)
                came += 1
            if len(upcoming) < AHEAD:
                upcoming.extend(islice(purchases, max(AHEAD_AT_ONCE, came)))
            await self._tick(self.tally.began + upcoming[0].at_ms / 1_000.0 if upcoming else None)

    async def _tick(self, next_arrival: float | None) -> None:
        """What is due now, then out with it; then sleep until something is due."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        for patience_ms, waiting in self._patience.items():
            while waiting and waiting[0][0] <= now:
                self._out_of_patience(waiting.popleft()[1], patience_ms)  # long answered, most of them
        self._flush()
        if self._door.failed is not None:
            raise self._door.failed
        moments = [moment for moment in (next_arrival, self._due[0][0] if self._due else None) if moment is not None]
        wait_s = min(moments, default=now + 0.05) - time.monotonic()
        await asyncio.sleep(min(0.05, max(TICK_S, wait_s)))

    def at(self, moment: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (moment, next(self._numbers), act))

    def _flush(self) -> None:
        """History first: an attempt is on file before it leaves."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._record_all(lines)
        if self._outgoing:
            outgoing, self._outgoing = self._outgoing, []
            for attempt in outgoing:
                self._door.send(attempt.errand.merchant.partition, attempt)

    # -- customers -----------------------------------------------------------------------------------------

    def _arrive(self, purchase: Purchase, due: float) -> None:
        self.tally.planned += 1
        if self._present >= CUSTOMERS_MAX:
            self.tally.dropped += 1
            return
        self.tally.arrive(time.monotonic(), due)
        self._present += 1
        self._begin(purchase, 0, None, due)

    def _begin(self, purchase: Purchase, number: int, charge_id: str | None, since: float) -> None:
        """One step of a purchase; what it comes to is heard in `done`."""
        errand = Errand(purchase, self._merchant(purchase.merchant_id), number, charge_id, self._seed, since)
        self.tally.intents += 1
        planned_at = now_ms() - round((time.monotonic() - errand.since) * 1_000.0)
        self._lines.append(errand.meant(now_ms(), planned_at))
        self._click(errand, errand.begin())

    def _click(self, errand: Errand, turn: Sequence[Click]) -> None:
        for place, click in enumerate(turn):
            due = errand.turn_at + click.delay_ms / 1_000.0
            if click.delay_ms <= 0:
                self._attempt(errand, place, click, due)
            else:
                self.at(due, partial(self._attempt, errand, place, click, due))

    def _attempt(self, errand: Errand, place: int, click: Click, due: float) -> None:
        now, at = time.monotonic(), now_ms()
        if click.if_unanswered and errand.answer is not None:
            self._go_on(errand, place, Outcome("none"), now)
            return
        payload, key = errand.asking(click), json_of(click.key)
        command_id = self._ids.mint(at)
        value = errand.command(command_id, key, payload, at, at + DEADLINE_MS)
        attempt = errand.attempt(place, due, command_id.encode(), value)
        self.tally.attempts += 1
        self._lines.append(errand.invoked(attempt, command_id, key, payload, at, at - round((now - due) * 1_000.0)))
        self._waiting[attempt.command_id] = attempt
        self._outgoing.append(attempt)
        leaves_ms = click.vanishes_after_ms
        if leaves_ms is not None and leaves_ms < click.patience_ms:
            attempt.abandons = True
            self.at(now + leaves_ms / 1_000.0, partial(self._out_of_patience, attempt.command_id, leaves_ms))
        else:
            self._patience[click.patience_ms].append((now + click.patience_ms / 1_000.0, attempt.command_id))

    def _merchant(self, merchant_id: str) -> Merchant:
        merchant = self._merchants.get(merchant_id)
        if merchant is None:
            key = merchant_id.encode()
            merchant = Merchant(key, json_of(merchant_id), partition_of(key, self._door.partitions))
            self._merchants[merchant_id] = merchant
        return merchant

    def _out_of_patience(self, command_id: bytes, waited_ms: float) -> None:
        attempt = self._waiting.pop(command_id, None)
        if attempt is None:
            return
        if attempt.abandons:
            # The request has left the customer, as it has when a connection over HTTP is lost: it goes on alone.
            self._end(attempt, End("info", reason="the customer's connection was lost"))
        elif attempt.sent_at is None:
            attempt.recalled = True
            self._end(attempt, End("fail", reason="the log took no command meanwhile"), timed_out=True)
        else:
            self._end(attempt, End("info", reason=f"no reply within {waited_ms:.0f} ms"), timed_out=True)

    # -- what the door tells -------------------------------------------------------------------------------

    def delivered(self, replies: Sequence[ConsumerRecord]) -> None:
        for record in replies:
            attempt = self._waiting.pop(record.key, None)
            if attempt is None:
                continue  # another's, a repeated one, or too late
            self._end(attempt, _heard(record.value))
        self._flush()

    def lost(self, letters: Sequence[Letter], reason: str) -> None:
        for letter in letters:
            attempt = self._waiting.pop(letter.command_id, None)
            if attempt is not None:
                self._end(attempt, End("info", reason=reason))
        self._flush()

    def _end(self, attempt: Attempt, end: End, *, timed_out: bool = False) -> None:
        """An attempt is over; when it was the last of its turn the customer goes on."""
        now, errand, tally = time.monotonic(), attempt.errand, self.tally
        kind, status, replayed = end.kind, end.status, end.replayed
        self._lines.append(errand.ended(attempt, end, now_ms()))
        tally.outcomes[kind] += 1
        if status is not None:
            tally.statuses[status] += 1
        tally.replays += replayed
        name = outcome_of(kind, status, replayed=replayed, abandoned=attempt.abandons)
        tally.attempt(now, name, attempt.due, attempt.sent_at)
        outcome = Outcome(kind, status, None, timed_out)
        if status is not None and errand.answer is None and outcome.settles:
            errand.answer = (status, end.body)
            tally.settle(now, errand.since)
        self._go_on(errand, attempt.place, outcome, now)

    def _go_on(self, errand: Errand, place: int, outcome: Outcome, now: float) -> None:
        turn = errand.heard(place, outcome, now)
        if turn is not None:
            self._click(errand, turn)
        elif errand.over:
            self._next(errand, now)

    def _next(self, errand: Errand, now: float) -> None:
        """The step after this one, once its pause is over; a customer who was declined goes home."""
        number = errand.number + 1
        charge_id = errand.charge_id_after()
        if charge_id is None or number > len(errand.purchase.afterwards):
            self._present -= 1
            return
        since = now + errand.purchase.step(number).pause_ms / 1_000.0
        self.at(since, partial(self._begin, errand.purchase, number, charge_id, since))

    def _send_away(self) -> None:
        for attempt in self._waiting.values():
            attempt.recalled = True
            self._lines.append(attempt.errand.ended(attempt, End("info", reason="the run ended"), now_ms()))
        self._waiting.clear()
        self._flush()


def _heard(value: bytes | None) -> End:
    """How a reply is told; the processor may be anybody's, and may say anything."""
    try:
        reply = orjson.loads(value or b"")
        status, replayed, body = reply["status"], reply["replayed"], reply["body"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return _UNREADABLE
    if type(status) is not int or not isinstance(body, str):
        return _UNREADABLE
    return End("ok", status, replayed is True, body)


_UNREADABLE: Final = End("info", reason="the reply could not be read")
