"""Audits a log of any length in bounded memory: partition by partition, and each of them in slices.

In:      a LogReader, the outline of the evidence, the ledger's open books or None, the history's intents dealt to
         partitions or None.
Out:     Report, the same as of all the evidence at once.
Units:   SLICE_COMMANDS commands and intents are in memory at once, with all that hangs together with them.
Errors:  LogReadError; OSError, when the disk is full. A ledger that cannot be read is no reason to stop.
Source:  a merchant's commands, keys, charges, replies and dead letters are all in one partition (CONTRACT), so nothing
         in one partition hangs together with anything in another.

Of each partition the commands are read first, to cut them into slices; then all its topics, each record to the file
of slices; then slice by slice is decoded and examined by the very checks that look at small logs. A partition's
customers are cut and spilled as its commands are: what ties an intent to commands ties it to their slice.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterable
from operator import itemgetter
from typing import Any, Final, Protocol

from simulator.audit import ledger_drift, routing
from simulator.audit.acquittal import Acquittal
from simulator.audit.books import Balance, Books, fold
from simulator.audit.collecting import Collector, outline, wait
from simulator.audit.comparison import Comparison
from simulator.audit.evidence import Evidence
from simulator.audit.examine import Part, examine
from simulator.audit.finding import Finding
from simulator.audit.key_window import KeyWindow
from simulator.audit.log import CHARGES, COMMANDS, DEAD_LETTERS, KEYS, REPLIES, Entry, Extent, Fate
from simulator.audit.records import Command, Position
from simulator.audit.registry import CHECKS, LEDGER_CHECKS, OF_PARTITIONS
from simulator.audit.report import Counts, Report
from simulator.audit.slices import Slices
from simulator.audit.verdict import conclude
from simulator.audit_glance import Batches, glance
from simulator.blocks import Blocks
from simulator.history_shelf import intents_of, put_intent
from simulator.spill import Spill

SLICE_COMMANDS: Final = 10_000
# Keys before commands: what the processor has not reached is told by its position.
ORDER: Final = (KEYS, COMMANDS, CHARGES, REPLIES, DEAD_LETTERS)
OF_SLICES: Final = {name: check for name, check in CHECKS.items() if name not in OF_PARTITIONS}


class Log(Batches, Protocol):
    """What is asked of a LogReader."""

    extent: Extent

    def read(self, topic: str, partition: int) -> AsyncIterator[list[Entry]]: ...


class Journal(Protocol):
    """What is asked of the ledger's open books."""

    positions: dict[int, int]
    balances: dict[tuple[str, str], Balance]

    def part(self, partition: int, begin: int, end: int) -> Books: ...


async def audit_in_slices(
    log: Log,
    evidence: Evidence,
    books: Journal | None,
    progress: Callable[[str], None],
    intents: Blocks | None = None,
) -> tuple[Report, str | None]:
    """`evidence` is fresh, and becomes the outline. Beside the report why the ledger was not judged, if it was not."""
    stream = Stream(log, evidence, books, progress, intents)
    await stream.partitions(range(log.extent.partitions))
    return stream.conclude(), stream.trouble


class Stream:
    """`partitions` in any order, or `add` what others found in theirs; then `conclude`."""

    def __init__(
        self,
        log: Log | None,
        evidence: Evidence,
        books: Journal | None,
        progress: Callable[[str], None],
        intents: Blocks | None = None,
    ) -> None:
        self._log = log
        self._intents = intents
        self.outline = evidence
        self._books = books
        self._progress = progress
        self.trouble: str | None = None
        self.part = Part()
        self.read: dict[str, int] = {}
        self._folded: dict[tuple[str, str], Balance] = {}

    async def partitions(self, partitions: Iterable[int]) -> None:
        was_enabled = gc.isenabled()
        gc.disable()  # millions of records, and no cycle among them: looking for one takes a fifth of the time
        try:
            for partition in partitions:
                await self._partition(partition)
        finally:
            if was_enabled:
                gc.enable()

    def add(self, outline_of_others: Evidence, part: Part) -> None:
        """What was found in other partitions."""
        for members in ("positions", "clocks", "last_command", "last_output", "waiting"):
            getattr(self.outline, members).update(getattr(outline_of_others, members))
        self.part.add(part)

    async def _partition(self, partition: int) -> None:
        acquittal = await self._glance(partition)
        if acquittal is not None:
            self.part.add(acquittal.part())
            if not acquittal.has_suspects:
                self.part.add(examine(self.outline.slice(), None, OF_SLICES, {}))
                return
        slices = await self._cut(partition, acquittal)
        with Spill(partition, slices.count) as spill, Blocks(slices.count) as told:
            for topic in ORDER:
                await self._spill(topic, partition, slices, spill, acquittal)
                if topic == KEYS:
                    outline(self.outline)
            await asyncio.to_thread(self._spill_intents, partition, slices, told)
            for number in range(slices.count):
                self._progress(f"looking at partition {partition}: slice {number + 1} of {slices.count}")
                self.part.add(await asyncio.to_thread(self._examine, spill, told, number))

    async def _glance(self, partition: int) -> Acquittal | None:
        """Only where the log alone says everything: under exactly-once, without customers and books."""
        assert self._log is not None
        if not self.outline.atomic or self.outline.clients is not None or self._books is not None:
            return None
        before = dict(self.read)
        acquittal = await glance(self._log, self.outline, partition, self._tell)
        if acquittal is None:
            self.read = before  # it is read once more
        return acquittal

    async def _entries(self, topic: str, partition: int, acquittal: Acquittal | None) -> AsyncIterator[list[Entry]]:
        """Those that are to be examined."""
        assert self._log is not None
        if acquittal is None:
            async for entries in self._log.read(topic, partition):
                yield entries
            return
        walk = acquittal.walk(topic)
        async for batches in self._log.batches(topic, partition):
            yield [entry for batch in batches for entry in walk.rest(batch)]

    def _tell(self, topic: str, records: int) -> None:
        self.read[topic] = self.read.get(topic, 0) + records
        self._progress(f"reading {topic}: {self.read[topic]} records")

    async def _cut(self, partition: int, acquittal: Acquittal | None) -> Slices:
        slices, evidence = Slices(SLICE_COMMANDS), self.outline
        evidence.history_complete[partition] = True
        self._progress(f"cutting partition {partition} into slices")
        async for entries in self._entries(COMMANDS, partition, acquittal):
            for entry in entries:
                if entry.fate is Fate.COMMITTED:
                    value = routing.value_of(entry)
                    nodes = routing.nodes(COMMANDS, entry, value, to_customers=self._intents is not None)
                    slices.add(entry.offset, nodes)
                    self._sent_by_customers(entry, value)
                    evidence.last_command[partition] = max(evidence.last_command.get(partition, 0), entry.offset)
                    evidence.clocks[partition] = max(evidence.clocks.get(partition, 0), entry.timestamp)
        await asyncio.to_thread(self._cut_intents, partition, slices)
        return slices

    def _sent_by_customers(self, entry: Entry, value: dict[str, Any] | None) -> None:
        clients, identity = self.outline.clients, routing.identity_of(value)
        if clients is not None and identity is not None and not clients.could_have_sent(identity[0], entry.timestamp):
            self.outline.history_complete[entry.partition] = False

    def _cut_intents(self, partition: int, slices: Slices) -> None:
        if self._intents is not None:
            for _, intent in intents_of(self._intents, partition):
                slices.add_intent(routing.of_intent(intent))
        slices.cut()

    def _spill_intents(self, partition: int, slices: Slices, told: Blocks) -> None:
        """Each to its slice; they come again in the order in which they were added to the slices."""
        if self._intents is not None:
            for index, numbered in enumerate(intents_of(self._intents, partition)):
                put_intent(told, slices.of_intent(index), numbered)

    async def _spill(
        self, topic: str, partition: int, slices: Slices, spill: Spill, acquittal: Acquittal | None
    ) -> None:
        clock, begin, evidence = 0, 0, self.outline
        async for entries in self._entries(topic, partition, acquittal):
            for entry in entries:
                clock = max(clock, entry.clock)
                committed = entry.fate is Fate.COMMITTED
                if topic == KEYS and committed and entry.key == routing.POSITION and self._position(entry):
                    continue
                value = routing.value_of(entry) if topic != DEAD_LETTERS else None
                if committed and topic == COMMANDS:
                    clock = max(clock, entry.timestamp)
                    self._wait(entry)
                elif committed:
                    newest = evidence.last_output.get(partition, 0)
                    evidence.last_output[partition] = max(newest, entry.timestamp)
                    if topic == CHARGES:
                        clock = max(clock, routing.occurred_at(value))
                number = _slice_of(slices, topic, entry, routing.nodes(topic, entry, value))
                spill.put(number, topic, entry, clock if committed else 0, headers=topic == DEAD_LETTERS)
            if acquittal is None:
                self._tell(topic, len(entries))
            if topic == CHARGES and entries:
                await self._booked(partition, begin, entries[-1].offset + 1, entries)
                begin = entries[-1].offset + 1
        if topic == CHARGES:
            await self._booked(partition, begin, 1 << 62, [])

    def _position(self, entry: Entry) -> bool:
        """Whether it could be read; otherwise a slice says that it could not."""
        try:
            self.outline.positions[entry.partition] = Position.decode(entry)
        except (ValueError, KeyError, TypeError):
            return False
        newest = self.outline.last_output.get(entry.partition, 0)
        self.outline.last_output[entry.partition] = max(newest, entry.timestamp)
        return True

    def _wait(self, entry: Entry) -> None:
        if entry.offset < self.outline.reached(entry.partition):
            return
        try:
            command = Command.decode(entry)
        except (ValueError, KeyError, TypeError, AttributeError):
            command = Command.unreadable(entry)
        wait(self.outline, command)

    def _examine(self, spill: Spill, told: Blocks, number: int) -> Part:
        evidence = self.outline.slice()
        if self.outline.clients is not None:
            meant = sorted(intents_of(told, number), key=itemgetter(0))
            evidence.clients = self.outline.clients.slice(intent for _, intent in meant)
        collector = Collector(evidence, outlined=True)
        for topic, entries in spill.take(number):
            collector.take(topic, entries)
        return examine(collector.finish(), None, OF_SLICES, {})

    async def _booked(self, partition: int, begin: int, end: int, entries: list[Entry]) -> None:
        """The journal of these events beside them."""
        if self._books is None:
            return
        from simulator.ledger_reader import LedgerReadError  # noqa: PLC0415  slow to load, and most have no books

        try:
            self.part.add(await asyncio.to_thread(self._examine_booked, partition, begin, end, entries))
        except LedgerReadError as error:
            self._books, self.trouble = None, str(error)

    def _examine_booked(self, partition: int, begin: int, end: int, entries: list[Entry]) -> Part:
        assert self._books is not None
        books = self._books.part(partition, begin, end)
        collector = Collector(self.outline.slice(), outlined=True)
        collector.take(CHARGES, entries)
        evidence = collector.finish()
        applied = (event for event in evidence.events if event.offset < books.positions.get(partition, 0))
        self._folded = fold(applied, self._folded)
        part = examine(evidence, books, {}, LEDGER_CHECKS)
        # Its records are counted, and said to be unreadable, with their slice.
        part.counts, part.comparison, part.key_window = Counts(), Comparison(), KeyWindow()
        part.unreadable, part.unreadable_count = [], 0
        return part

    def conclude(self) -> Report:
        evidence = self.outline
        outline(evidence)
        whole = examine(evidence, self._totals(), OF_PARTITIONS, {ledger_drift.NAME: self._balances})
        self.part.add(whole)
        return conclude(evidence, self.part, [*CHECKS, *LEDGER_CHECKS], with_ledger=self._books is not None)

    def _totals(self) -> Books | None:
        if self._books is None:
            return None
        return Books(positions=self._books.positions, balances=self._books.balances, is_part=True)

    def _balances(self, evidence: Evidence, books: Books) -> list[Finding]:
        if any(bound.start for (topic, _), bound in evidence.extent.bounds.items() if topic == CHARGES):
            return []
        return list(ledger_drift.balances(books, self._folded))


def _slice_of(slices: Slices, topic: str, entry: Entry, nodes: list[int]) -> int:
    """Where the record's command is; where there is none, any slice will do, as long as its like go there too."""
    if topic == COMMANDS and entry.fate is Fate.COMMITTED:
        number = slices.of_command(entry.offset)
        if number is not None:
            return number
    if topic == DEAD_LETTERS:
        place = routing.command_of(entry)
        number = slices.of_command(place[1]) if place is not None and place[0] == entry.partition else None
        return 0 if number is None else number
    for node in nodes:
        number = slices.of_node(node)
        if number is not None:
            return number
    return nodes[-1] % slices.count if nodes else 0
