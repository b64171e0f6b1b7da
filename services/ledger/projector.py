"""The loop that keeps the ledger's database where the log is.

In:      the three topics, every partition, read committed, from the positions that the database holds.
Out:     database transactions: a batch's effects together with its positions, also when only positions moved.
Units:   milliseconds.
Errors:  a broker or a database that is away is tried again, `patience_ms` at most, with one line in the log;
         whatever else fails is raised and ends the process. Positions are safe at every point.
Source:  DESIGN, "Ledger".

There is one way back from any trouble: `_open` asks log and database where they are, and goes on there.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError

from events.topics import ledger_group, topic_name
from services.kafka.errors import Indefinite, KafkaFailure, Retriable
from services.kafka.port import Log, Reader, Record, TopicPartition
from services.ledger.batch import READ, Batch, Skipped
from services.ledger.domain import Book, faithfully
from services.ledger.metrics import Metrics
from services.ledger.store import LogState, Moved, Positions, Store, StoreLost

# A payment is four records that arrive one after another; a database transaction costs as much for one as for many.
GATHER_MS: Final = 20
MANY: Final = 20  # records gathered: more than some two hundred payments a second
GATHER_MANY_MS: Final = 40  # then half as many database transactions leave more of the machine to the payments
FULL: Final = 500  # records; with more of them there is no time to wait
IDLE_FETCH_MS: Final = 20  # positions that move without a record (markers, aborted records) show after this
TELL_MS: Final = 1_000  # how old the positions may be that the consumer group shows to monitors
CHECK_MS: Final = 2_000  # how soon a deleted database or a recreated topic is noticed when nothing arrives
PAUSE_FIRST_MS: Final = 50
PAUSE_LONGEST_MS: Final = 1_000

# What a driver says of values it will not take. Anything else is trouble with the database, or a bug.
_ABOUT_THE_ROWS: Final = (SQLAlchemyError, ArithmeticError, ValueError, TypeError)

Fetched = Mapping[TopicPartition, Sequence[Record]]

log = structlog.get_logger()


class Options(NamedTuple):
    namespace: str
    partitions: int
    book: Book = faithfully
    committed: bool = True  # read nothing else
    patience_ms: int = 60_000


class Projector:
    def __init__(self, kafka: Log, store: Store, metrics: Metrics, options: Options) -> None:
        self._kafka = kafka
        self._store = store
        self._metrics = metrics
        self._options = options
        self._kinds = {topic_name(options.namespace, kind): kind for kind in READ}
        self._partitions = [
            TopicPartition(topic, number) for topic in self._kinds for number in range(options.partitions)
        ]
        self._positions: Positions = {}  # as the database holds them
        self._topic_ids: Mapping[str, str] = {}
        self._next_check = 0.0
        self._told: Positions = {}
        self._next_telling = 0.0
        self.ready = False

    async def run(self, stopped: asyncio.Event, on_ready: Callable[[], None] = lambda: None) -> None:
        """Until `stopped`; the batch in hand is finished first."""
        trouble = _Trouble(self._options.patience_ms)
        reader = await self._kafka.reader(committed=self._options.committed)
        try:
            while not stopped.is_set():
                try:
                    if not self.ready:
                        await self._open(reader)
                        on_ready()
                    await self._step(reader)
                    trouble.over()
                    await self._tell()
                except (Retriable, Indefinite, StoreLost, Moved) as error:
                    self.ready = False  # what was fetched may not be applied: begin where the database is
                    await trouble.wait(error, stopped)
        finally:
            self.ready = False
            await reader.close()

    async def _open(self, reader: Reader) -> None:
        """Ask the log and the database where they are, and read on from there."""
        topics = list(self._kinds)
        self._topic_ids = await self._kafka.topic_ids(topics)
        starts = await self._kafka.log_starts(self._partitions)
        ends = await self._kafka.high_watermarks(self._partitions)
        opened = await asyncio.to_thread(self._store.open, LogState(self._topic_ids, starts, ends))
        if opened.rebuilt is not None:
            log.info("ledger_rebuilt", why=opened.rebuilt, records_on_log=sum(ends.values()) - sum(starts.values()))
        for where, at in opened.lost.items():
            log.warning(
                "records_missed",
                topic=where.topic,
                partition=where.partition,
                position=at,
                log_start=starts[where],
            )
        self._positions = opened.positions
        reader.assign(self._positions)
        self._check_again()
        self.ready = True

    async def _step(self, reader: Reader) -> None:
        """Fetch once and apply what came: records, or only positions."""
        began = time.monotonic()
        fetched = await reader.fetch(IDLE_FETCH_MS)
        end = {where: reader.position(where) for where in self._partitions}
        end = {where: at for where, at in end.items() if at != self._positions[where]}
        if end:
            await asyncio.to_thread(self._apply, fetched, end)
            self._positions.update(end)
            self._check_again()
            came = sum(map(len, fetched.values()))
            if came < FULL:
                gather_ms = GATHER_MS if came < MANY else GATHER_MANY_MS
                await asyncio.sleep(max(0.0, began + gather_ms / 1000 - time.monotonic()))
        elif time.monotonic() >= self._next_check:
            await self._check()

    async def _tell(self) -> None:
        """Show how far we are to whoever watches the consumer group; nothing depends on it."""
        if self._told == self._positions or time.monotonic() < self._next_telling:
            return
        self._next_telling = time.monotonic() + TELL_MS / 1000
        told = dict(self._positions)
        try:
            await self._kafka.tell_offsets(ledger_group(self._options.namespace), told)
        except KafkaFailure as error:
            log.debug("offsets_not_told", why=str(error))
        else:
            self._told = told

    async def _check(self) -> None:
        await asyncio.to_thread(self._store.check, self._positions)
        if await self._kafka.topic_ids(list(self._kinds)) != self._topic_ids:
            raise Moved("The topics are others under the same names.")
        self._check_again()

    def _check_again(self) -> None:
        self._next_check = time.monotonic() + CHECK_MS / 1000

    def _apply(self, fetched: Fetched, end: Positions) -> None:
        """One database transaction; if the database will not take the batch, one for each record."""
        began = time.perf_counter()
        batch = self._fold(fetched)
        begin = {where: self._positions[where] for where in end}
        try:
            self._store.apply(batch, begin, end)
        except _ABOUT_THE_ROWS as error:
            log.error("batch_refused", records=batch.records, error=f"{type(error).__name__}: {error}")
            self._apply_singly(fetched, begin, end)
        else:
            self._report(batch.skipped)
        self._metrics.applied(_counted(self._kinds, fetched), end, time.perf_counter() - began)

    def _apply_singly(self, fetched: Fetched, begin: Positions, end: Positions) -> None:
        """Find the records that the database refuses, and leave out only those."""
        at = dict(begin)
        for where, records in fetched.items():
            for record in records:
                step = {where: record.offset + 1}
                batch = self._fold({where: [record]})
                try:
                    self._store.apply(batch, {where: at[where]}, step)
                except _ABOUT_THE_ROWS as error:
                    reason = f"{type(error).__name__}: {error}"
                    batch = self._fold({})
                    batch.skipped.append(Skipped(where.topic, where.partition, record.offset, reason))
                    self._store.apply(batch, {where: at[where]}, step)
                self._report(batch.skipped)
                at.update(step)
        self._store.apply(self._fold({}), at, end)

    def _fold(self, fetched: Fetched) -> Batch:
        batch = Batch(self._options.partitions, self._options.book)
        for where, records in fetched.items():
            batch.add(self._kinds[where.topic], where, records)
        return batch

    def _report(self, skipped: Sequence[Skipped]) -> None:
        for each in skipped:
            self._metrics.skipped(self._kinds[each.topic])
            log.warning("record_skipped", **each._asdict())


class _Trouble:
    """Waits between tries, longer each time, up to a bound; one line when trouble begins, one at its end."""

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self._since: float | None = None
        self._pause_ms = PAUSE_FIRST_MS

    async def wait(self, error: Exception, stopped: asyncio.Event) -> None:
        """Raises the error again when patience is at its end."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            log.warning("ledger_interrupted", error=type(error).__name__, why=str(error))
        if (now - self._since) * 1000 > self._patience_ms:
            raise error
        try:
            await asyncio.wait_for(stopped.wait(), self._pause_ms / 1000)
        except TimeoutError:
            self._pause_ms = min(self._pause_ms * 2, PAUSE_LONGEST_MS)

    def over(self) -> None:
        if self._since is not None:
            log.info("ledger_resumed", after_ms=int((time.monotonic() - self._since) * 1000))
            self._since = None
            self._pause_ms = PAUSE_FIRST_MS


def _counted(kinds: Mapping[str, str], fetched: Fetched) -> dict[str, int]:
    counts: dict[str, int] = {}
    for where, records in fetched.items():
        counts[kinds[where.topic]] = counts.get(kinds[where.topic], 0) + len(records)
    return counts
