"""The processor: one loop over all partitions it holds, one Kafka transaction for each turn of it.

In:      `commands` of the partitions that the group gives us.
Out:     `keys`, `charges`, `replies`, `dead-letters` and the group's offsets, tied together as the guarantee says.
Units:   offsets; milliseconds.
Errors:  Fenced, Fatal, Refused end it. Anything else from Kafka has one way back: end the transaction somehow,
         forget everything speculative, take every partition over again, and let the log tell what happened.
Source:  DESIGN, "Exactly once".

While one transaction is on its way, the next batch is read and decided upon what that one will have written; it
is appended only when the one before is committed. If that fails, both are forgotten. What was committed is written to
the store beside the next transaction; until it is there, decisions know of it as of what is on its way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from services.kafka.errors import Fatal, Fenced, KafkaFailure, NotMember, StaleGeneration
from services.kafka.port import Assignment, Membership, Reader, TopicPartition, Writer
from services.processor.backlog import Backlog, Portion
from services.processor.batch import Batch, Known, decode_portion, rules_for, settle_partition
from services.processor.expiry import Expiry
from services.processor.holding import AHEAD_MS_MAX, Holding, kept, too_far_ahead
from services.processor.observer import Observer
from services.processor.parts import Parts
from services.processor.store.port import Change
from services.processor.strategies import STRATEGIES, Strategy
from services.processor.surroundings import Surroundings
from services.processor.takeover import Start

IDLE_MS: Final = 50  # how long a rebalance or a stop may go unnoticed while no command comes
WAIT_MS: Final = 100
PAUSE_MS: Final = 200
WRITES_AT_ONCE: Final = (
    500  # more than these (about a millisecond) are written beside the loop, which can go on meanwhile
)
PIPELINED_FROM: Final = 300  # commands at once: to decide on them takes as long as a transaction
BREATHE_EVERY: Final = 100  # records, about half a millisecond; for fewer, another turn of the event loop is most of it
FLUSH_EVERY_MS: Final = 30_000  # so that a key forgotten long ago is never found again after a kill (ADR 20)
LOOK_AGAIN_MS: Final = 1_000  # at a partition whose timestamps were beyond belief

log = structlog.get_logger(__name__)


class Worker:
    def __init__(self, parts: Parts, surroundings: Surroundings, observer: Observer) -> None:
        self._parts = parts
        self._kafka = parts.kafka
        self._store = parts.store
        self._terms = parts.terms
        self._surroundings = surroundings
        self._observer = observer
        self._holdings: dict[int, Holding] = {}
        self._assignment: Assignment | None = None  # whose partitions we hold or take over
        self._taking: asyncio.Task[dict[int, Start]] | None = None
        self._backlog = Backlog()
        self._sending: asyncio.Task[None] | None = None
        self._under_way: Batch | None = None  # what it sends
        self._applying: asyncio.Task[None] | None = None
        self._unapplied: Batch | None = None  # what it writes to the store: committed
        self._is_pipelined = False
        self._almost_sent = asyncio.Event()
        self._almost_sent.set()
        self._looked_again_ms = 0.0
        self._flushed_ms = surroundings.elapsed_ms()

    _reader: Reader
    _writer: Writer
    _membership: Membership
    _expiry: Expiry
    _strategy: Strategy

    async def run(self, predecessor: str | None, remember: Callable[[str], None], stopped: asyncio.Event) -> None:
        """Until `stopped`; the transaction under way is ended first, and the group is left."""
        self._remember = remember
        await self._start(predecessor)
        try:
            while not stopped.is_set():
                try:
                    await self._turn()
                except (Fenced, Fatal):
                    raise
                except KafkaFailure as error:
                    await self._recover(error)
            await self._sent()
        finally:
            await self._end()

    async def _start(self, predecessor: str | None) -> None:
        terms = self._terms
        if terms.exactly_once:
            named = self._parts.transactional_id
            self._writer = await self._kafka.writer(named, terms.transaction_timeout_ms, terms.scope)
            self._strategy = self._parts.strategy
        else:
            self._writer = await self._kafka.plain_writer()
            self._strategy = STRATEGIES[terms.guarantee]
        self._reader = await self._kafka.reader()
        self._expiry = Expiry(await self._kafka.reader(small=True), terms, self._surroundings)
        self._membership = await self._kafka.membership(terms.group, terms.topic("commands"), terms.session_timeout_ms)
        # Before joining: whoever takes over would wait for the transaction that our predecessor left open.
        await self._until_done(self._writer.start, "writer_start_retried")
        await self._until_done(lambda: self._membership.start(predecessor), "join_retried")

    async def _end(self) -> None:
        await self._stop_taking()
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        await self._applied()
        await self._membership.close()
        await self._reader.close()
        await self._expiry.close()
        await self._writer.close()

    # One turn

    async def _turn(self) -> None:
        current = self._membership.current
        if current != self._assignment:
            await self._reassign(current)
            return
        if self._taking is not None and self._taking.done():
            self._adopt(self._taking.result())
        if not self._holdings:
            await self._wait()
            return
        self._resume_stopped()
        self._flush()
        if not self._backlog:
            await self._fetch()
        await self._expiry.look()
        batch = await self._settle(self._believable(self._backlog.take()))
        await self._sent()
        if batch.partitions:
            assert self._assignment is not None, "what is held belongs to an assignment"
            self._under_way = batch
            self._almost_sent.clear()
            self._sending = self._surroundings.spawn(self._send(batch, self._assignment), "kafka-transaction")
        else:
            await self._writer.idle()

    async def _fetch(self) -> None:
        """Late, where few come: what is read before the transaction under way is about to end is not all that has come
        by then, and the rest would wait for one more. Where many come, there is enough to do meanwhile."""
        if not self._is_pipelined:
            await self._almost_sent.wait()
        fetched = await self._reader.fetch(IDLE_MS)
        self._is_pipelined = sum(map(len, fetched.values())) >= PIPELINED_FROM
        self._backlog.put(fetched, self._reader)

    async def _settle(self, portions: Mapping[int, Portion]) -> Batch:
        batch = Batch()
        known = Known(self._store, [one for one in (self._under_way, self._unapplied) if one is not None])
        done = 0
        for partition, holding in self._holdings.items():
            decoded = None
            if partition in portions:
                decoded = decode_portion(rules_for(self._terms, partition), portions[partition])
                done = await self._breathe(done + len(decoded.records))
            settled = settle_partition(self._terms, known, partition, holding, decoded, self._expiry)
            if settled is not None:
                batch.partitions[partition] = settled
                done = await self._breathe(done + len(settled.writes))
        return batch

    async def _breathe(self, done: int) -> int:
        """The transaction under way has several answers to wait for. Returns how much was done since."""
        if done < BREATHE_EVERY:
            return done
        await self._surroundings.breathe()
        return 0

    def _believable(self, portions: Mapping[TopicPartition, Portion]) -> dict[int, Portion]:
        now_ms = self._surroundings.now_ms()
        believed: dict[int, Portion] = {}
        for where, portion in portions.items():
            ahead_ms = too_far_ahead(portion.records, now_ms)
            if ahead_ms is None:
                believed[where.partition] = portion
            else:
                self._stop_partition(where, ahead_ms - now_ms, ahead_ms)
        return believed

    async def _send(self, batch: Batch, member: Assignment) -> None:
        began_ms = self._surroundings.elapsed_ms()
        try:
            work = batch.work(self._terms, member)._replace(almost_done=self._almost_sent.set)
            base_offsets = await self._strategy(self._writer, work)
        finally:
            self._almost_sent.set()
        # Committed: only now may anything of it be kept.
        changes: dict[int, Change] = {}
        for partition, settled in batch.partitions.items():
            holding = self._holdings[partition]
            reach = settled.reach(self._terms, partition, base_offsets, holding.reach)
            holding.committed(settled.standing, settled.read_to, reach)
            changes[partition] = Change(settled.writes, holding.reach)
        self._observer.committed(batch, self._surroundings.elapsed_ms() - began_ms)
        await self._applied()
        if sum(len(one.writes) for one in changes.values()) < WRITES_AT_ONCE:
            self._store.apply(changes)
        else:
            self._unapplied = batch
            applying = self._surroundings.aside(lambda: self._store.apply(changes))
            self._applying = self._surroundings.spawn(applying, "key-store")

    def _flush(self) -> None:
        """Now and then: the store flushes what fills its buffers, but a quiet partition fills none."""
        now_ms = self._surroundings.elapsed_ms()
        if now_ms - self._flushed_ms > FLUSH_EVERY_MS:
            self._flushed_ms = now_ms
            self._store.flush(wait=False)

    async def _sent(self) -> None:
        """Wait for the transaction under way; raises what went wrong with it."""
        if self._sending is not None:
            sending, self._sending = self._sending, None
            await sending
            self._under_way = None

    async def _applied(self) -> None:
        """Wait until all that was committed is in the store."""
        applying = self._applying
        if applying is not None:
            await asyncio.shield(applying)  # whoever is stopped meanwhile has committed it all the same
            self._applying = self._unapplied = None

    # Partitions come and go

    async def _reassign(self, current: Assignment | None) -> None:
        await self._sent()
        await self._applied()
        await self._stop_taking()
        if current is None:
            await self._membership.changed(None, WAIT_MS)
            return
        if not await self._membership.confirm(current):
            await self._membership.changed(current, WAIT_MS)
            return
        stays = kept(self._assignment, current, frozenset(self._holdings))
        if self._assignment is None or self._assignment.member_id != current.member_id:
            self._remember(current.member_id)
        self._assignment = current
        self._holdings = {one: self._holdings[one] for one in stays}
        self._follow()
        comes = current.partitions - stays
        log.info("partitions_assigned", generation=current.generation, kept=sorted(stays), taking_over=sorted(comes))
        self._observer.assigned(current, comes)
        for partition, holding in self._holdings.items():
            if holding.ahead_ms is not None:
                self._observer.stopped(partition)
        if comes:
            take_over = self._parts.take_over(self._kafka, self._store, self._terms, self._surroundings)
            self._taking = self._surroundings.spawn(take_over.run(comes), "take-over")
        else:
            self._observer.taken_over({})

    def _adopt(self, starts: Mapping[int, Start]) -> None:
        self._taking = None
        for partition, start in starts.items():
            self._holdings[partition] = Holding(start.standing, start.read_from, start.reach)
        self._follow()
        log.info("partitions_taken_over", read_from={str(one): start.read_from for one, start in starts.items()})
        self._observer.taken_over({one: start.standing.position for one, start in starts.items()})

    def _follow(self) -> None:
        """Read exactly what is held, from where it was read to."""
        self._backlog.clear()
        where = self._terms.where
        self._reader.assign({where("commands", one): holding.read_to for one, holding in self._holdings.items()})
        stopped = [where("commands", one) for one, holding in self._holdings.items() if holding.ahead_ms is not None]
        if stopped:
            self._reader.pause(stopped)
        self._expiry.assign({one: holding.reach.cursor for one, holding in self._holdings.items()})

    async def _wait(self) -> None:
        if self._taking is not None:
            await self._surroundings.first_of([self._taking], IDLE_MS)
        else:
            await self._membership.changed(self._assignment, WAIT_MS)

    async def _stop_taking(self) -> None:
        taking, self._taking = self._taking, None
        if taking is not None:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _recover(self, error: KafkaFailure) -> None:
        log.warning("kafka_transaction_lost", kind=type(error).__name__, why=str(error), code=error.code)
        self._observer.lost(error)
        if self._sending is not None:
            # Not cancelled: what it may be writing to the store has been committed.
            sending, self._sending = self._sending, None
            for ended in await asyncio.gather(sending, return_exceptions=True):
                if isinstance(ended, (Fenced, Fatal)):
                    raise ended
        self._under_way = None
        await self._applied()
        if isinstance(error, StaleGeneration) and self._terms.exactly_once:
            await self._until_done(self._writer.abort, "recovery_retried")
            await self._roll_back()
            return
        await self._stop_taking()
        self._assignment = None
        self._holdings = {}
        self._follow()
        # A writer without Kafka transactions has nothing to abort and needs a new producer id instead.
        await self._until_done(
            self._writer.abort if self._terms.exactly_once else self._writer.recover, "recovery_retried"
        )
        if isinstance(error, NotMember):
            await self._until_done(self._membership.rejoin, "rejoin_retried")

    async def _roll_back(self) -> None:
        """A rebalance came between the commands and their offsets, so nothing was committed. What was before is still
        so for partitions that stay ours; which those are is told in a moment."""
        for holding in self._holdings.values():
            holding.roll_back()
        self._follow()
        self._observer.goes_on(self._holdings)
        await self._membership.changed(self._assignment, WAIT_MS)

    async def _until_done(self, step: Callable[[], Awaitable[None]], event: str) -> None:
        while True:
            try:
                await step()
            except (Fenced, Fatal):
                raise
            except KafkaFailure as error:
                log.warning(event, kind=type(error).__name__, why=str(error))
                await self._surroundings.sleep(PAUSE_MS)
            else:
                return

    # Clocks that cannot be right

    def _stop_partition(self, where: TopicPartition, ahead_by_ms: int, ahead_ms: int) -> None:
        holding = self._holdings[where.partition]
        self._backlog.drop(where)
        if holding.ahead_ms is None:
            log.error(
                "partition_stopped",
                partition=where.partition,
                why=f"A log timestamp of {where.topic} {where.partition} is {ahead_by_ms / 1000:.0f} s ahead of this"
                " clock; nothing there is executed until one of the two clocks is put right.",
            )
            self._observer.stopped(where.partition)
        holding.ahead_ms = ahead_ms
        self._reader.pause([where])
        self._looked_again_ms = self._surroundings.elapsed_ms()

    def _resume_stopped(self) -> None:
        if self._surroundings.elapsed_ms() - self._looked_again_ms < LOOK_AGAIN_MS:
            return
        self._looked_again_ms = self._surroundings.elapsed_ms()
        believable_ms = self._surroundings.now_ms() + AHEAD_MS_MAX
        again = [
            partition
            for partition, holding in self._holdings.items()
            if holding.ahead_ms is not None and holding.ahead_ms <= believable_ms
        ]
        for partition in again:
            self._holdings[partition].ahead_ms = None
            self._observer.resumed(partition)
        if again:
            self._follow()
