"""The writer of transaction.version 2: one producer, one open Kafka transaction, many partitions.

In:      records by partition, the group's offsets with the member id and generation they were read under.
Out:     base offsets; a transaction that is committed or is not.
Units:   milliseconds.
Errors:  Abortable (abort next), Indefinite (recover next), Fenced (exit), Fatal.
Source:  KIP-890, KIP-447, KIP-360; DESIGN, "Exactly once"; research, section 8.

InitProducerId v5, Produce v12, TxnOffsetCommit v5, EndTxn v5. Every end of a transaction moves the epoch,
so that a late copy of any of its requests is refused. Whether an end without an answer happened is never
guessed: InitProducerId with the old producer id and epoch is asked, which also tells whether somebody has
taken our place. Nothing new begins after a broker was lost until the last end has all its markers (ADR 12).
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum, auto
from typing import Final

from kio.schema.init_producer_id.v5 import InitProducerIdRequest, InitProducerIdResponse
from kio.schema.types import ProducerId, TransactionalId
from kio.static.primitive import i16, i32Timedelta

from services.kafka.appender import Appender
from services.kafka.cluster import ASKING_MS, Cluster, CoordinatorOf
from services.kafka.codes import Code, Kind, Request, failure, kind
from services.kafka.ending import CommitOffsets, End, Producer
from services.kafka.errors import Abortable, Indefinite, KafkaFailure, NotMember, Retriable, StaleGeneration
from services.kafka.markers import settled
from services.kafka.patience import Patience
from services.kafka.port import Assignment, Outgoing, Scope, TopicPartition
from services.kafka.transactions import Transaction

UNHEARD_MAX: Final = 2  # an EndTxn and the InitProducerId after it; more lost answers than that are not guessed at
LOOK_AFTER_S: Final = 1.0
_END_AGAIN: Final = (
    Code.concurrent_transactions,
    Code.coordinator_load_in_progress,
    Code.coordinator_not_available,
    Code.not_coordinator,
)


class _State(Enum):
    NEW = auto()  # no producer id yet
    READY = auto()  # nothing is open
    OPEN = auto()  # something of this transaction may be on the log
    FAILED = auto()  # open, and good for nothing but an abort
    UNCERTAIN = auto()  # only InitProducerId can tell where we are


class TransactionalWriter:
    """One per process; not for two tasks at once."""

    def __init__(self, cluster: Cluster, transactional_id: str, transaction_timeout_ms: int, scope: Scope) -> None:
        self._cluster = cluster
        self._transactional_id = transactional_id
        self._timeout_ms = transaction_timeout_ms
        self._scope = scope
        self._appender = Appender(cluster, transactional_id, transaction_timeout_ms, self._settled)
        self._state = _State.NEW
        self._producer_id, self._epoch = -1, -1
        self._carries_offsets = False
        self._unheard = 0  # bumps of the epoch that may have happened without our hearing of them
        self._loop = asyncio.get_running_loop()
        self._ended_at: float | None = None  # the last end whose markers nobody has looked at

    async def start(self) -> None:
        await self._init_producer_id(-1, -1)

    async def recover(self) -> None:
        assert self._state is not _State.NEW, "there is no producer id to recover; start first"
        self._state = _State.UNCERTAIN
        await self._init_producer_id(self._producer_id, self._epoch)

    async def produce(self, records: Mapping[TopicPartition, Sequence[Outgoing]]) -> dict[TopicPartition, int]:
        with self._step():
            await self._settled_after_loss()
            # Longer than the transaction may last there is nothing to be patient for.
            return await self._appender.append(records, self._timeout_ms)

    async def send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        if not member.member_id or member.generation < 0:
            raise StaleGeneration("offsets without a member id and a generation would be checked by nobody")
        with self._step():
            await self._settled_after_loss()
            await self._send_offsets(group, topic, offsets, member)
            self._carries_offsets = True

    async def commit(self) -> None:
        if self._state is _State.READY:
            return
        with self._step():
            assert self._carries_offsets, "a transaction without offsets is not fenced by the group's generation"
            await self._end(committed=True)

    async def abort(self) -> None:
        if self._state in (_State.READY, _State.NEW):
            return
        if self._state is not _State.UNCERTAIN:
            try:
                with self._step(aborting=True):
                    await self._end(committed=False)
            except (Abortable, Indefinite):
                self._state = _State.UNCERTAIN
            else:
                return
        await self.recover()

    async def idle(self) -> None:
        """A broker that was lost, or paused so long that it was taken for lost, may have left the end unmarked."""
        if self._state is not _State.READY:
            return
        if self._ended_at is not None and self._loop.time() - self._ended_at > LOOK_AFTER_S:
            await self._settled()
            self._ended_at = None
        else:
            await self._settled_after_loss()

    async def close(self) -> None:
        self._cluster.close()

    @contextmanager
    def _step(self, *, aborting: bool = False) -> Iterator[None]:
        """Whatever ends a step early, a cancellation too, leaves a transaction that must not be committed."""
        if not aborting and self._state not in (_State.READY, _State.OPEN):
            raise Abortable(f"the transaction before ended badly ({self._state.name.lower()}): abort or recover first")
        self._state = _State.OPEN
        try:
            yield
        except (StaleGeneration, NotMember):
            self._state = _State.FAILED
            raise
        except BaseException:
            self._state = _State.UNCERTAIN
            raise

    async def _init_producer_id(self, producer_id: int, epoch: int) -> None:
        patience = Patience(ASKING_MS)
        while True:
            trouble: KafkaFailure
            try:
                # Before it, since it makes the coordinator forget how the transaction before was ended.
                found = await self._settled()
                # Asked twice it is the same question: the coordinator knows the epoch before the last one.
                request = self._init_request(producer_id, self._ours(epoch, found))
                answer = await self._cluster.call_coordinator(
                    CoordinatorOf.TRANSACTION, self._transactional_id, request, InitProducerIdResponse
                )
                if answer.error_code == Code.none:
                    self._adopt(int(answer.producer_id), int(answer.producer_epoch))
                    return
                trouble = self._refusal(answer.error_code, Request.INIT_PRODUCER_ID)
            except Retriable as error:
                trouble = error
            except Indefinite as error:
                self._not_heard()
                trouble = error
            if patience.spent:
                raise Retriable(f"no producer id within {ASKING_MS / 1000:g} s: {trouble}", code=trouble.code)
            await patience.pause()

    async def _settled(self) -> Transaction | None:
        """The coordinator's word on our last transaction, whose every marker is written by now."""
        return await settled(self._cluster, self._transactional_id, self._scope, self._producer_id)

    async def _settled_after_loss(self) -> None:
        """A broker that was killed after the end before may have left it without markers: ours would join it."""
        if self._cluster.lost_connections():
            await self._settled()

    def _ours(self, epoch: int, found: Transaction | None) -> int:
        """The epoch to ask with: ours, or one that is ours though its answer was lost.

        A coordinator that came back knows no epoch but the newest. A successor would have made it move on beyond
        what was lost.
        """
        if found is None or found.producer_id != self._producer_id or epoch < 0:
            return epoch
        return found.epoch if epoch <= found.epoch <= epoch + self._unheard else epoch

    def _init_request(self, producer_id: int, epoch: int) -> InitProducerIdRequest:
        return InitProducerIdRequest(
            transactional_id=TransactionalId(self._transactional_id),
            transaction_timeout=i32Timedelta.parse(timedelta(milliseconds=self._timeout_ms)),
            producer_id=ProducerId(producer_id),
            producer_epoch=i16(epoch),
        )

    def _not_heard(self) -> None:
        """A request that moves the epoch got no answer: it may have moved by one more."""
        self._unheard = min(self._unheard + 1, UNHEARD_MAX)

    async def _send_offsets(self, group: str, topic: str, offsets: Mapping[int, int], member: Assignment) -> None:
        question = CommitOffsets(self._producer(), group, topic, offsets, member)
        patience = Patience(self._timeout_ms)
        while True:
            trouble: KafkaFailure
            try:
                codes = await self._cluster.put_to_coordinator(CoordinatorOf.GROUP, group, question)
            except (Retriable, Indefinite) as error:
                trouble = error
            else:
                codes.discard(Code.none)
                if not codes:
                    return
                trouble = self._refusal(codes.pop(), Request.TXN_OFFSET_COMMIT, group)
            if patience.spent:
                raise trouble
            if trouble.code != Code.concurrent_transactions:
                await self._settled()
            await patience.pause()

    async def _end(self, *, committed: bool) -> None:
        question = End(self._producer(), committed=committed)
        patience = Patience(ASKING_MS)
        while True:
            try:
                ended = await self._cluster.put_to_coordinator(
                    CoordinatorOf.TRANSACTION, self._transactional_id, question
                )
            except Retriable as error:
                trouble: KafkaFailure = error  # nothing was sent
            except Indefinite:
                self._not_heard()
                raise
            else:
                if ended.error_code == Code.none:
                    self._adopt(ended.producer_id, ended.epoch)
                    return
                trouble = self._refusal(ended.error_code, Request.END_TXN)
                if ended.error_code not in _END_AGAIN:
                    raise Indefinite(str(trouble), code=trouble.code)
            if patience.spent:
                raise Indefinite(f"the transaction did not end within {ASKING_MS / 1000:g} s: {trouble}")
            await patience.pause()

    def _adopt(self, producer_id: int, epoch: int) -> None:
        self._producer_id, self._epoch = producer_id, epoch
        self._appender.begin(producer_id, epoch)
        self._state = _State.READY
        self._carries_offsets = False
        self._unheard = 0
        self._ended_at = self._loop.time()

    def _producer(self) -> Producer:
        return Producer(self._transactional_id, self._producer_id, self._epoch)

    def _refusal(self, code: Code, request: Request, group: str | None = None) -> KafkaFailure:
        """What may be tried again, with a coordinator looked up anew; anything else is raised."""
        if code != Code.concurrent_transactions:
            if group is None:
                self._cluster.forget_coordinator(CoordinatorOf.TRANSACTION, self._transactional_id)
            else:
                self._cluster.forget_coordinator(CoordinatorOf.GROUP, group)
        error = failure(code, request, group or self._transactional_id)
        if kind(code, request) is not Kind.RETRIABLE:
            raise error
        return error
