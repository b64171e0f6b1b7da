"""A reader of assigned partitions from given positions: no group, no reset policy, no offsets of its own.

In:      positions by partition.
Out:     whole batches as fetched; positions past markers, aborted and compacted records.
Units:   milliseconds, bytes.
Errors:  OffsetOutOfRange, Retriable, Fatal. A broker that is away is waited for in silence: whoever writes to it hears
         of that soon enough.
Source:  KIP-227 (services.kafka.fetch_session); ADR 21; docs/measurements.md, "late".

Each broker is asked by one Fetch at a time, which begins when the caller asks for records and not before: what was
fetched earlier would be what had come earlier, and the rest of it would wait for another turn. Only an answer so long
that there must be more of it is followed by the next one at once.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple

from services.kafka.cluster import Cluster, Lane
from services.kafka.codes import Code, Kind, Request, failure, kind
from services.kafka.errors import Indefinite, OffsetOutOfRange, Retriable
from services.kafka.fetch_session import FetchSession
from services.kafka.fetched import fetched
from services.kafka.fetching import Bounds, Fetch, Part
from services.kafka.port import Record, TopicPartition

# A new Fetch waits behind an idle one: this is what a resumed or newly assigned partition may have to wait.
FETCH_WAIT_MS: Final = 100
PARTITION_BYTES: Final = 1024 * 1024
FEW_BYTES: Final = 4 * PARTITION_BYTES  # of all partitions that one broker is asked for: a full transaction's commands
SMALL_BYTES: Final = 256 * 1024  # of one: some 300 key records, a millisecond's work
ANSWER_BYTES: Final = 16 * PARTITION_BYTES
LONG_BYTES: Final = 64 * 1024  # of an answer that is not the last of what has come
PAUSE_MS: Final = 50  # before a broker that is away, or does not lead any more, is looked for again
_ELSEWHERE: Final = -1  # whom the question is put to who leads


class _Heard(NamedTuple):
    asked: Mapping[TopicPartition, int]
    parts: Sequence[Part]  # none where no answer came


class KafkaReader:
    def __init__(self, cluster: Cluster, *, committed: bool, small: bool = False) -> None:
        self._cluster = cluster
        self._small = small
        self._bounds = Bounds(FETCH_WAIT_MS, ANSWER_BYTES, SMALL_BYTES, committed)
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._sessions: dict[int, FetchSession] = {}
        self._asking: dict[int, asyncio.Task[_Heard]] = {}
        self._is_troubled = False
        self._heard: asyncio.Future[None] | None = None  # whoever waits for any answer

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        # What is under way was asked for from other positions, and is dropped when it comes.
        self._positions = dict(positions)
        self._paused.clear()

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    def position(self, partition: TopicPartition) -> int:
        return self._positions[partition]

    async def fetch(self, max_wait_ms: int) -> Mapping[TopicPartition, Sequence[Record]]:
        """Also returns, with nothing, as soon as a position has moved past markers or aborted records alone.

        A Fetch that is not answered by then goes on; its answer is the next call's.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + max_wait_ms / 1000
        while True:
            self._ask()
            left_s = ends_at - loop.time()
            if not self._asking:  # nothing is assigned, or all of it is paused
                await asyncio.sleep(max(0.0, left_s))
                return {}
            await self._answered(left_s)
            read, moved = self._hear()
            if moved or loop.time() >= ends_at:
                return read

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        self._asking.clear()
        self._cluster.close()

    async def _answered(self, within_s: float) -> None:
        """As asyncio.wait for the first of what is asked, at a third of its cost."""
        if any(task.done() for task in self._asking.values()):
            return
        loop = asyncio.get_running_loop()
        self._heard = loop.create_future()
        timer = loop.call_later(max(0.0, within_s), self._tell)
        try:
            await self._heard
        finally:
            timer.cancel()
            self._heard = None

    def _tell(self, _: object = None) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    def _begin(self, whom: int, question: Coroutine[Any, Any, _Heard], name: str) -> None:
        task = self._asking[whom] = asyncio.create_task(question, name=name)
        task.add_done_callback(self._tell)

    def _ask(self) -> None:
        """Whoever leads something that nobody is asked for yet."""
        wanted = {where: at for where, at in self._positions.items() if where not in self._paused}
        led, leaderless = self._cluster.known_leaders(wanted)
        for leader, partitions in led.items():
            if leader not in self._asking:
                positions = {where: wanted[where] for where in partitions}
                self._begin(leader, self._fetch_from(leader, positions), "fetch")
        if leaderless and _ELSEWHERE not in self._asking:
            self._begin(_ELSEWHERE, self._look_for(leaderless), "fetch-leaders")

    def _hear(self) -> tuple[dict[TopicPartition, Sequence[Record]], bool]:
        """What has been answered: records, and whether any position has moved. All of it, or none where it raises."""
        read: dict[TopicPartition, Sequence[Record]] = {}
        moved: dict[TopicPartition, int] = {}
        length = 0
        for leader in [one for one, task in self._asking.items() if task.done()]:
            asked, parts = self._asking.pop(leader).result()
            for where, code, aborted, data in parts:
                if where in self._paused or self._positions.get(where) != asked.get(where):
                    continue
                if code != Code.none:
                    self._refused(where, code)
                elif data:
                    length += len(data)
                    records, position = fetched(where, data, asked[where], aborted)
                    moved[where] = position
                    if records:
                        read[where] = records
        self._positions.update(moved)
        if length >= LONG_BYTES:
            self._ask()
        return read, bool(moved)

    def _refused(self, where: TopicPartition, code: Code) -> None:
        about = f"{where.topic} {where.partition}"
        if code == Code.offset_out_of_range:
            at = self._positions[where]
            raise OffsetOutOfRange(f"the position is not on the log: {about} at {at}", code=int(code))
        if kind(code, Request.OTHER) is not Kind.RETRIABLE:
            raise failure(code, Request.OTHER, about)
        self._cluster.forget_leaders((where,))
        self._is_troubled = True

    async def _look_for(self, partitions: Sequence[TopicPartition]) -> _Heard:
        if self._is_troubled:
            await asyncio.sleep(PAUSE_MS / 1000)
        try:
            _, leaderless = await self._cluster.find_leaders(partitions)
            self._is_troubled = bool(leaderless)
        except (Retriable, Indefinite):
            self._is_troubled = True
        return _Heard({}, ())

    async def _fetch_from(self, leader: int, positions: Mapping[TopicPartition, int]) -> _Heard:
        session = self._sessions.setdefault(leader, FetchSession())
        bounds = self._bounds
        if not self._small:
            bounds = bounds._replace(partition_bytes=max(PARTITION_BYTES, FEW_BYTES // len(positions)))
        question = Fetch(session.build(positions), bounds)
        try:
            response = await self._cluster.put(leader, Lane.DATA, question)
        except (Retriable, Indefinite):
            session.reset()
            self._cluster.forget_leaders(positions)
            self._is_troubled = True
            return _Heard(positions, ())
        if response.error_code != Code.none:  # the broker has another idea of the session, and all is said anew
            session.reset()
            return _Heard(positions, ())
        session.answered(response.session_id)
        return _Heard(positions, response.parts)
