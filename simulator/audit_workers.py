"""Audits the partitions of one log in several processes; a process of its own for each share of them.

In:      a KafkaConnection, the outline of the evidence, how many processes.
Out:     the outlines and the parts of all partitions, added up, as one process would have found them.
Errors:  LogReadError, when the log cannot be read or a process died.
Source:  nothing in one partition hangs together with anything in another (`simulator.audit_stream`).

A worker's share comes on its stdin, what it found goes to its stdout. It dies with its parent, and its files with it.
"""

import asyncio
import os
import pickle
import struct
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from events.connection import KafkaConnection
from simulator.audit.evidence import Evidence
from simulator.audit.examine import Part
from simulator.audit_stream import Stream
from simulator.blocks import Blocks
from simulator.failure import Failure
from simulator.log_reader import LogReader, LogReadError
from simulator.supervisor import die_with_parent

WORKERS_MAX: Final = 4  # each of them takes some 200 MiB
WORTH_RECORDS: Final = 400_000  # a process costs a second before it reads anything
_LENGTH: Final = struct.Struct(">Q")

Read = dict[str, int]  # records by topic


@dataclass(frozen=True)
class Share:
    """What one process is to do."""

    connection: KafkaConnection
    outline: Evidence
    partitions: tuple[int, ...]
    intents: Blocks | None = None  # of a history, by partition


@dataclass(frozen=True)
class Found:
    """What it found. `failure`: one sentence, if it could not go on."""

    outline: Evidence
    part: Part
    failure: str = ""


def workers_for(evidence: Evidence) -> int:
    """One for each core and partition, if there is enough to do."""
    if evidence.extent.records < WORTH_RECORDS:
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min(cores, evidence.extent.partitions, WORKERS_MAX))


def shares(evidence: Evidence, workers: int) -> list[tuple[int, ...]]:
    """Every partition once, the largest first to whoever has least."""
    records = dict.fromkeys(range(evidence.extent.partitions), 0)
    for (_, partition), bound in evidence.extent.bounds.items():
        records[partition] += bound.end - bound.start
    dealt: list[tuple[int, list[int]]] = [(0, []) for _ in range(workers)]
    for partition in sorted(records, key=lambda one: (-records[one], one)):
        least = min(range(workers), key=lambda index: (dealt[index][0], len(dealt[index][1])))
        total, partitions = dealt[least]
        dealt[least] = total + records[partition], [*partitions, partition]
    return [tuple(partitions) for _, partitions in dealt if partitions]


async def audit_in_processes(
    connection: KafkaConnection,
    evidence: Evidence,
    workers: int,
    progress: Callable[[str], None],
    intents: Blocks | None = None,
) -> Stream:
    """A stream that has gone through all partitions, ready to conclude."""
    read: list[Read] = [{} for _ in range(workers)]

    def tell(index: int, counts: Read) -> None:
        read[index] = counts
        for topic in counts:
            progress(f"reading {topic}: {sum(one.get(topic, 0) for one in read)} records")

    hired = [
        asyncio.create_task(_hire(Share(connection, evidence, partitions, intents), partial(tell, index)))
        for index, partitions in enumerate(shares(evidence, workers))
    ]
    try:
        all_found = await asyncio.gather(*hired)
    finally:
        for one in hired:
            one.cancel()
        await asyncio.gather(*hired, return_exceptions=True)
    stream = Stream(None, evidence, None, progress)
    for found in all_found:
        stream.add(found.outline, found.part)
    return stream


async def _hire(share: Share, tell: Callable[[Read], None]) -> Found:
    """One process, from its start to its end."""
    with warnings.catch_warnings():
        # Python warns of forking beside threads; this child only calls prctl before it execs.
        warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from simulator.audit_workers import work; work()"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=die_with_parent(),
            pass_fds=() if share.intents is None else (share.intents.descriptor,),
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(_packed(share))
        await process.stdin.drain()
        while True:
            said = await _next(process.stdout)
            if isinstance(said, Found):
                if said.failure:
                    raise LogReadError(said.failure)
                return said
            tell(said)
    except (asyncio.IncompleteReadError, ConnectionError):
        code = await process.wait()
        partitions = ", ".join(map(str, share.partitions))
        raise LogReadError(f"The process that audited partitions {partitions} ended with exit code {code}.") from None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _next(stream: asyncio.StreamReader) -> Any:
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    return pickle.loads(await stream.readexactly(length))  # noqa: S301  written by our own child


def _packed(value: object) -> bytes:
    text = pickle.dumps(value)
    return _LENGTH.pack(len(text)) + text


async def _work(share: Share, say: Callable[[object], None]) -> Found:
    outline = share.outline
    try:
        async with LogReader(share.connection, outline.namespace, outline.extent) as log:
            stream = Stream(log, outline, None, lambda _: say(stream.read), share.intents)
            await stream.partitions(share.partitions)
            return Found(replace(stream.outline, clients=None), stream.part)
    except (Failure, OSError) as error:
        return Found(outline, Part(), str(error))


def work() -> None:
    """What the process does."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    (length,) = _LENGTH.unpack(source.read(_LENGTH.size))
    share: Share = pickle.loads(source.read(length))  # noqa: S301  written by our own parent

    def say(value: object) -> None:
        sink.write(_packed(value))
        sink.flush()

    say(asyncio.run(_work(share, say)))
