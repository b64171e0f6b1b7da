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
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from events.connection import KafkaConnection
from events.guarantees import Guarantee
from events.topics import topic_name
from simulator.audit.books import Books
from simulator.audit.clients import Clients, fold
from simulator.audit.evidence import Collector, Evidence
from simulator.audit.log import CHARGES, TOPICS
from simulator.audit.report import Report, Verdict
from simulator.audit.verdict import judge
from simulator.history import InvalidHistory, read_history
from simulator.ledger_reader import LedgerReadError, read_books
from simulator.log_reader import LogReader
from simulator.reproduce import command_of

SILENCE_S = 2.0  # whoever waits longer for an answer of Kafka is told what for

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
    clients = None if history is None else _clients(history)
    books, no_books = await _books(ledger_url, namespace, progress)
    evidence = await _evidence(connection, namespace, _promised(guarantee, clients), clients, progress)
    report = await asyncio.to_thread(judge, evidence, books, progress=lambda name: progress(f"looking for {name}"))
    if clients is not None:
        report = replace(report, reproduce=command_of(clients.run))
    return report if no_books is None else _with_reason(report, no_books)


def _clients(history: History) -> Clients:
    try:
        return fold(read_history(history) if isinstance(history, Path) else history)
    except (KeyError, TypeError, AttributeError) as error:
        which = history if isinstance(history, Path) else "The history"
        raise InvalidHistory(f"{which} has a line without what its kind needs: {error}.") from None


def _promised(guarantee: Guarantee | str | None, clients: Clients | None) -> str:
    if guarantee is None and clients is not None:
        guarantee = clients.run.get("guarantee")
    return Guarantee(guarantee or Guarantee.EXACTLY_ONCE).value


async def _books(
    ledger_url: str | None, namespace: str, progress: Callable[[str], None]
) -> tuple[Books | None, str | None]:
    """The books, read before the log: so every event they have booked is within what is read of it."""
    if ledger_url is None:
        return None, None
    progress("reading the ledger")
    try:
        return await asyncio.to_thread(read_books, ledger_url, topic_name(namespace, CHARGES)), None
    except LedgerReadError as error:
        return None, str(error)


async def _evidence(
    connection: KafkaConnection,
    namespace: str,
    guarantee: str,
    clients: Clients | None,
    progress: Callable[[str], None],
) -> Evidence:
    async with AsyncExitStack() as opened:
        slow = asyncio.get_running_loop().call_later(SILENCE_S, progress, f"reaching {connection.bootstrap}")
        opened.callback(slow.cancel)
        log = await opened.enter_async_context(LogReader(connection, namespace))
        slow.cancel()
        collector = Collector(Evidence(namespace, guarantee, log.extent, clients))
        for topic in TOPICS:
            read = 0
            progress(f"reading {topic}")
            for partition in range(log.extent.partitions):
                async for entries in log.read(topic, partition):
                    collector.take(topic, entries)
                    read += len(entries)
                    progress(f"reading {topic}: {read} records")
    return await asyncio.to_thread(collector.finish)


def _with_reason(report: Report, reason: str) -> Report:
    verdict = Verdict.UNKNOWN if report.verdict is Verdict.VALID else report.verdict
    return replace(report, verdict=verdict, unknown=(*report.unknown, reason))
