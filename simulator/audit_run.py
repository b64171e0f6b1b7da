"""What `payonce audit` does: read everything there is of a namespace, and judge it.

In:      a KafkaConnection, a namespace; a history (its path, or its lines), the ledger's URL, the guarantee:
         each if known.
Out:     Report.
Errors:  LogReadError, InvalidHistory, OSError: there is nothing to judge. A ledger that cannot be read is a
         reason for an unknown verdict, as its checks did not run.

The guarantee is what the caller says, else what the history says, else exactly-once: what the log must then
live up to.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from events.connection import KafkaConnection
from events.guarantees import Guarantee
from events.topics import topic_name
from simulator.audit.clients import Clients
from simulator.audit.collecting import Collector
from simulator.audit.evidence import Evidence
from simulator.audit.log import CHARGES, TOPICS
from simulator.audit.report import Report, Verdict
from simulator.audit.verdict import judge
from simulator.audit_stream import audit_in_slices
from simulator.audit_workers import audit_in_processes, workers_for
from simulator.blocks import Blocks
from simulator.history import InvalidHistory, read_history
from simulator.history_shelf import HistoryShelf
from simulator.ledger_reader import LedgerReadError, OpenBooks
from simulator.log_reader import LogReader
from simulator.reproduce import command_of
from simulator.workload.rare_gc import rare_collection

SILENCE_S: Final = 2.0  # whoever waits longer for an answer of Kafka is told what for
AT_ONCE_RECORDS: Final = 100_000  # a quarter of a gigabyte; a longer log, or history, is read in slices

History = Path | Iterable[Mapping[str, Any]]


async def audit_namespace(
    connection: KafkaConnection,
    namespace: str,
    *,
    history: History | None = None,
    ledger_url: str | None = None,
    guarantee: Guarantee | str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """The verdict on a namespace as its log stands now."""
    async with AsyncExitStack() as opened:
        opened.enter_context(rare_collection())  # a history's lines are many objects, and no cycle is among them
        # The history before the log: so every answer in it is within what is read of the log.
        shelf = None if history is None else await asyncio.to_thread(_shelf, opened, history, progress)
        clients = None if shelf is None else shelf.outline
        # The books before the log: so every event they have booked is within what is read of it.
        books, no_books = await _books(opened, ledger_url, namespace, progress)
        log = await opened.enter_async_context(_reading(connection, namespace, progress))
        evidence = Evidence(namespace, _promised(guarantee, clients), log.extent, clients)
        if max(log.extent.records, shelf.lines if shelf else 0) > AT_ONCE_RECORDS:
            intents = None
            if shelf is not None:
                intents = opened.enter_context(Blocks(log.extent.partitions))
                with _lines_complete(history):
                    await asyncio.to_thread(shelf.deal, intents)
            report, trouble = await _in_slices(connection, log, evidence, books, progress, intents)
        else:
            if shelf is not None:
                with _lines_complete(history):
                    evidence.clients = await asyncio.to_thread(shelf.whole)
            report, trouble = await _at_once(log, evidence, books, progress)
        no_books = no_books or trouble
    if clients is not None:
        report = replace(report, reproduce=command_of(clients.run))
    return report if no_books is None else _with_reason(report, no_books)


def _shelf(opened: AsyncExitStack, history: History, progress: Callable[[str], None]) -> HistoryShelf:
    progress("reading the history")
    with _lines_complete(history):
        if isinstance(history, Path):
            return opened.enter_context(HistoryShelf(read_history(history), history.stat().st_size))
        return opened.enter_context(HistoryShelf(history, 0))


@contextmanager
def _lines_complete(history: History | None) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        which = history if isinstance(history, Path) else "The history"
        raise InvalidHistory(f"{which} has a line without what its kind needs: {error}.") from None


def _promised(guarantee: Guarantee | str | None, clients: Clients | None) -> str:
    if guarantee is None and clients is not None:
        guarantee = clients.run.get("guarantee")
    return Guarantee(guarantee or Guarantee.EXACTLY_ONCE).value


async def _books(
    opened: AsyncExitStack, ledger_url: str | None, namespace: str, progress: Callable[[str], None]
) -> tuple[OpenBooks | None, str | None]:
    """The books, or why they cannot be read."""
    if ledger_url is None:
        return None, None
    progress("reading the ledger")
    try:
        books = OpenBooks(ledger_url, topic_name(namespace, CHARGES))
        await asyncio.to_thread(books.__enter__)
    except LedgerReadError as error:
        return None, str(error)
    opened.push_async_callback(asyncio.to_thread, books.close)
    return books, None


@asynccontextmanager
async def _reading(
    connection: KafkaConnection, namespace: str, progress: Callable[[str], None]
) -> AsyncIterator[LogReader]:
    slow = asyncio.get_running_loop().call_later(SILENCE_S, progress, f"reaching {connection.bootstrap}")
    try:
        async with LogReader(connection, namespace) as log:
            slow.cancel()
            yield log
    finally:
        slow.cancel()


async def _in_slices(
    connection: KafkaConnection,
    log: LogReader,
    evidence: Evidence,
    books: OpenBooks | None,
    progress: Callable[[str], None],
    intents: Blocks | None,
) -> tuple[Report, str | None]:
    """In several processes, unless there is a ledger: its books stand open, as of one moment, in this one."""
    workers = workers_for(evidence) if books is None else 1
    if workers == 1:
        return await audit_in_slices(log, evidence, books, progress, intents)
    stream = await audit_in_processes(connection, evidence, workers, progress, intents)
    return stream.conclude(), None


async def _at_once(
    log: LogReader, evidence: Evidence, open_books: OpenBooks | None, progress: Callable[[str], None]
) -> tuple[Report, str | None]:
    """Everything in memory; and why the ledger was not judged, if it was not."""
    books, trouble = None, None
    try:
        books = None if open_books is None else await asyncio.to_thread(open_books.whole)
    except LedgerReadError as error:
        trouble = str(error)
    collector = Collector(evidence)
    for topic in TOPICS:
        read = 0
        progress(f"reading {topic}")
        for partition in range(log.extent.partitions):
            async for entries in log.read(topic, partition):
                collector.take(topic, entries)
                read += len(entries)
                progress(f"reading {topic}: {read} records")
    await asyncio.to_thread(collector.finish)
    report = await asyncio.to_thread(judge, evidence, books, progress=lambda name: progress(f"looking for {name}"))
    return report, trouble


def _with_reason(report: Report, reason: str) -> Report:
    verdict = Verdict.UNKNOWN if report.verdict is Verdict.VALID else report.verdict
    return replace(report, verdict=verdict, unknown=(*report.unknown, reason))
