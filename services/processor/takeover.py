"""Taking over partitions: everything that must be so before their first record is handled.

In:      partitions that a rebalance has given us, and whatever the local store has of them.
Out:     for each the standing, the offset of `commands` to read from, and the reach of the store.
Units:   offsets; milliseconds.
Errors:  Refused, one sentence, where nobody could go on rightly; whatever passes is waited for, each try
         bounded and each wait said in the log. Cancelling it leaves a store that is right as far as it reaches.
Source:  DESIGN, "Taking over partition p", in this order. Never goes on with half a state.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import structlog

from services.kafka.errors import Fatal, Indefinite, OffsetOutOfRange, Retriable
from services.kafka.port import Log, Reader, Record, TopicPartition
from services.processor.domain.settling import Standing
from services.processor.domain.stored import of_events, of_records, standing_of
from services.processor.position import POSITION_STORED_AS
from services.processor.store.port import Change, KeyStore, Reach
from services.processor.surroundings import Surroundings
from services.processor.terms import Terms

T = TypeVar("T")

PAUSE_MS: Final = 200  # between two tries of something whose own patience is spent
FETCH_MS: Final = 50
STALLED_MS: Final = 1_000
_RESTORED: Final = ("keys", "charges")

log = structlog.get_logger(__name__)


class Refused(Exception):  # it says what the processor must do
    """The log and our terms do not fit together; `usage` when it is the terms that were given wrongly."""

    def __init__(self, sentence: str, *, usage: bool = False) -> None:
        super().__init__(sentence)
        self.usage = usage


class Start(NamedTuple):
    standing: Standing
    read_from: int
    reach: Reach


class _Bounds(NamedTuple):
    starts: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]


class TakeOver:
    def __init__(self, kafka: Log, store: KeyStore, terms: Terms, surroundings: Surroundings) -> None:
        self._kafka = kafka
        self._store = store
        self._terms = terms
        self._surroundings = surroundings

    async def run(self, partitions: Collection[int]) -> dict[int, Start]:
        numbers = sorted(partitions)
        commands = self._terms.topic("commands")
        # 1. Waits for any open transaction that carries these offsets: its owner may yet commit it.
        group_offsets = await self._persist(
            lambda: self._kafka.stable_offsets(self._terms.group, commands, numbers),
            "stable_offsets",
            meanwhile=self._write_missing_markers,
        )
        # 2. The ends are looked at after that, so that whatever that transaction wrote is below them.
        bounds = await self._bounds(numbers)
        await self._open_store(numbers, bounds)
        await self._restore(numbers, bounds)
        # 3. Only now is the position known.
        return {number: self._start(number, group_offsets[number], bounds) for number in numbers}

    async def _bounds(self, numbers: Collection[int]) -> _Bounds:
        asked = [self._terms.where(name, one) for name in ("commands", *_RESTORED) for one in numbers]
        starts = await self._persist(lambda: self._kafka.log_starts(asked), "log_starts")
        return _Bounds(starts, await self._persist(lambda: self._kafka.high_watermarks(asked), "high_watermarks"))

    async def _open_store(self, numbers: Collection[int], bounds: _Bounds) -> None:
        """A copy of another log, or of more than there is, is no copy of this one."""
        names = [self._terms.topic(name) for name in ("commands", *_RESTORED)]
        if self._store.open(await self._persist(lambda: self._kafka.topic_ids(names), "topic_ids")):
            log.warning("key_store_wiped", why="it was a copy of other topics of the same name")
        for number in numbers:
            reach = self._store.reach(number)
            end = [bounds.ends[self._terms.where(name, number)] for name in _RESTORED]
            if reach.keys > end[0] or reach.charges > end[1]:
                log.warning("key_store_wiped", partition=number, why="it was ahead of the log")
                self._store.wipe(number)

    async def _restore(self, numbers: Collection[int], bounds: _Bounds) -> None:
        """Catch up from `keys` and `charges`, read committed, to the ends: a position, never a last record."""
        while True:
            positions = self._positions(numbers, bounds)
            behind = {where for where, at in positions.items() if at < bounds.ends[where]}
            if not behind:
                return
            reader = await self._persist(self._kafka.reader, "reader")
            try:
                reader.assign({where: positions[where] for where in behind})
                await self._catch_up(reader, behind, bounds.ends)
            except OffsetOutOfRange:
                # Records were deleted under our eyes: whoever wants what stood there has nowhere to find it.
                bounds = await self._bounds(numbers)
            finally:
                await reader.close()

    def _positions(self, numbers: Collection[int], bounds: _Bounds) -> dict[TopicPartition, int]:
        positions: dict[TopicPartition, int] = {}
        for number in numbers:
            reach = self._store.reach(number)
            for name, reached in (("keys", reach.keys), ("charges", reach.charges)):
                where = self._terms.where(name, number)
                positions[where] = max(reached, bounds.starts[where])
        return positions

    async def _catch_up(self, reader: Reader, behind: set[TopicPartition], ends: Mapping[TopicPartition, int]) -> None:
        count = 0
        began_ms = moved_at = self._surroundings.elapsed_ms()
        while behind:
            before = {where: reader.position(where) for where in behind}
            try:
                fetched = await reader.fetch(FETCH_MS)
            except OffsetOutOfRange:
                raise
            except Retriable as error:
                log.warning("restore_interrupted", why=str(error))
                await self._surroundings.sleep(PAUSE_MS)
                continue
            changes: dict[int, dict[bytes, bytes | None]] = {}
            for where, records in fetched.items():
                changes.setdefault(where.partition, {}).update(self._writes(where, records))
                count += len(records)
            moved = {where for where in behind if reader.position(where) != before[where]}
            self._keep(reader, moved, changes)
            if moved:
                moved_at = self._surroundings.elapsed_ms()
            elif self._surroundings.elapsed_ms() - moved_at > STALLED_MS:
                log.warning("restore_waits", behind=sorted(behind), why="a transaction is still open there")
                await self._write_missing_markers()
                moved_at = self._surroundings.elapsed_ms()
            done = {where for where in behind if reader.position(where) >= ends[where]}
            if done:
                behind -= done
                reader.pause(sorted(done))
        log.info("partitions_restored", records=count, duration_ms=round(self._surroundings.elapsed_ms() - began_ms))

    def _writes(self, where: TopicPartition, records: Sequence[Record]) -> Mapping[bytes, bytes | None]:
        if where.topic == self._terms.topic("keys"):
            return of_records(records)
        return of_events(records, once=self._terms.exactly_once)

    def _keep(
        self, reader: Reader, moved: Collection[TopicPartition], changes: Mapping[int, Mapping[bytes, bytes | None]]
    ) -> None:
        """Everything fetched goes into the store together with how far it reaches."""
        reaches: dict[int, Reach] = {}
        for where in moved:
            reach = reaches.get(where.partition) or self._store.reach(where.partition)
            at = reader.position(where)
            if where.topic == self._terms.topic("keys"):
                reaches[where.partition] = reach._replace(keys=at)
            else:
                reaches[where.partition] = reach._replace(charges=at)
        if reaches:
            changed = {one: Change(changes.get(one, {}), reach) for one, reach in reaches.items()}
            self._store.apply(changed)

    def _start(self, partition: int, group_offset: int | None, bounds: _Bounds) -> Start:
        commands = self._terms.where("commands", partition)
        first, end = bounds.starts[commands], bounds.ends[commands]
        value = self._store.get(partition, [POSITION_STORED_AS]).get(POSITION_STORED_AS)
        standing, window_ms = (Standing(0, 0), None) if value is None else standing_of(value)
        if window_ms is not None and window_ms != self._terms.window_ms:
            raise Refused(
                f"The namespace {self._terms.namespace} keeps keys for {window_ms} ms and not for"
                f" {self._terms.window_ms} ms: --key-ttl is fixed when a namespace is created.",
                usage=True,
            )
        if self._terms.exactly_once:
            standing, read_from = self.begin(standing, group_offset)
        else:
            read_from = first if group_offset is None else group_offset
            standing = Standing(read_from, standing.clock)
        where = f"Partition {partition} of {commands.topic}"
        if read_from < first:
            raise Refused(f"{where} begins at offset {first}, and commands from {read_from} on are still to be read.")
        if max(read_from, standing.position) > end:
            raise Refused(f"{where} ends at offset {end}, before position {max(read_from, standing.position)}.")
        reach = self._store.reach(partition)
        cursor = max(reach.cursor, bounds.starts[self._terms.where("keys", partition)])
        return Start(standing, read_from, reach._replace(cursor=cursor))

    def begin(self, standing: Standing, group_offset: int | None) -> tuple[Standing, int]:
        """Where the partition stands by our own log, and from where to read: never above the position."""
        position = standing.position
        return standing, position if group_offset is None else min(group_offset, position)

    async def _write_missing_markers(self) -> None:
        """The transaction waited for may be one that its owner ended, and whose markers a killed broker never wrote."""
        try:
            await self._kafka.write_missing_markers(self._terms.scope)
        except (Retriable, Indefinite, Fatal) as error:
            log.warning("markers_missing", why=str(error))

    async def _persist(
        self,
        attempt: Callable[[], Awaitable[T]],
        about: str,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        while True:
            try:
                return await attempt()
            except (Retriable, Indefinite) as error:
                log.warning("take_over_waits", about=about, why=str(error))
                if meanwhile is not None:
                    await meanwhile()
                await self._surroundings.sleep(PAUSE_MS)
