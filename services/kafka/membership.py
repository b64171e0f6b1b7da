"""One member of the processors' group, which owns partitions and reads no record.

In:      the group, the topic whose partitions it shares out, the member id of a predecessor.
Out:     assignments, captured as the first statement of the listener.
Units:   milliseconds.
Errors:  Retriable, Fatal (authorization).
Source:  DESIGN, "Membership and data are two consumers"; research, sections 1.6 and 8.1.

aiokafka sends no heartbeat while the listener runs, delivers records meanwhile, and moves its live member
id and generation before the assignment. So the listener records, pauses and returns; nothing here reads the
live values later. What it revokes before a rebalance stays ours until the broker begins the next generation,
from when on it refuses the offsets of the one before: nobody stops work while the others are waited for (ADR 17).
A getmany loop runs all the same, because aiokafka counts idleness against max_poll_interval_ms. No static
membership: aiokafka cannot be told that an instance id was fenced.
"""

import asyncio
import contextlib
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import errors as aiokafka_errors
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from services.kafka.cluster import Cluster
from services.kafka.errors import Fatal, KafkaFailure, Retriable
from services.kafka.group import evict, is_member
from services.kafka.port import Assignment
from services.kafka.security import bootstrap, security

HEARTBEAT_MS: Final = 500  # how long a rebalance may go unnoticed
CLOSING_MS: Final = 3_000
_POLL_MS: Final = 200
_REFUSED: Final = (
    aiokafka_errors.GroupAuthorizationFailedError,
    aiokafka_errors.TopicAuthorizationFailedError,
    aiokafka_errors.InvalidSessionTimeoutError,
    aiokafka_errors.InvalidGroupIdError,
)

log = structlog.get_logger(__name__)


class KafkaMembership:
    def __init__(self, cluster: Cluster, client_id: str, group: str, topic: str, session_timeout_ms: int) -> None:
        self._cluster = cluster
        self._group = group
        self._topic = topic
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap(cluster.connection),
            client_id=client_id,
            group_id=group,
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=session_timeout_ms,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # `none` raises even where everything is paused
            request_timeout_ms=session_timeout_ms + 2_000,  # JoinGroup is answered after the slowest member
            retry_backoff_ms=50,
            partition_assignment_strategy=[_sticky()],  # of two aiokafka joins with each in turn: two generations
            **security(cluster.connection),
        )
        self._rejoining = False
        self._current: Assignment | None = None
        self._changed = asyncio.Event()
        self._refused: Fatal | None = None
        self._polling: asyncio.Task[None] | None = None

    async def start(self, predecessor: str | None) -> None:
        if predecessor:
            await evict(self._cluster, self._group, predecessor)
        try:
            await self._consumer.start()
        except aiokafka_errors.KafkaError as error:
            raise Retriable(f"cannot connect to Kafka: {error}") from error
        self._consumer.subscribe([self._topic], listener=_Listener(self))
        self._polling = asyncio.create_task(self._poll(), name="membership-poll")

    @property
    def current(self) -> Assignment | None:
        return self._current

    async def changed(self, seen: Assignment | None, max_wait_ms: int) -> Assignment | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max_wait_ms / 1000):
                while self._current == seen and self._refused is None:
                    self._changed.clear()
                    await self._changed.wait()
        if self._refused is not None:
            raise self._refused
        return self._current

    async def confirm(self, assignment: Assignment) -> bool:
        if self._current != assignment:
            return False
        return await is_member(self._cluster, self._group, assignment) and self._current == assignment

    async def rejoin(self) -> None:
        if self._rejoining:
            return  # aiokafka has heard of it, too
        coordinator = self._consumer._coordinator
        left = coordinator.member_id
        self._set(None)
        coordinator.reset_generation()
        if left:
            await evict(self._cluster, self._group, left)  # or the others wait for it until its session ends

    async def close(self) -> None:
        self._set(None)
        if self._polling is not None:
            self._polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._polling
        coordinator = self._consumer._coordinator
        leaving = asyncio.create_task(self._consumer.stop())  # says first that it will not join again
        try:
            async with asyncio.timeout(CLOSING_MS / 1000):
                if coordinator is not None and coordinator.member_id:
                    # A JoinGroup on its way is answered at once to whoever is no member any more.
                    await evict(self._cluster, self._group, coordinator.member_id)
                await leaving
        except (TimeoutError, KafkaFailure, aiokafka_errors.KafkaError) as error:
            log.warning("group_not_left", group=self._group, reason=repr(error))
            leaving.cancel()
            await self._consumer._client.close()
        self._cluster.close()

    def _set(self, assignment: Assignment | None) -> None:
        self._current = assignment
        self._changed.set()

    async def _poll(self) -> None:
        """Keep aiokafka believing that somebody reads; nothing is ever returned from paused partitions."""
        while True:
            try:
                await self._consumer.getmany(timeout_ms=_POLL_MS)
            except _REFUSED as error:
                self._refused = Fatal(f"group {self._group} refused us: {error!r}")
                self._set(None)
                return
            except aiokafka_errors.KafkaError as error:
                log.warning("membership_troubled", group=self._group, reason=repr(error))
                await asyncio.sleep(_POLL_MS / 1000)


def _sticky() -> type[StickyPartitionAssignor]:
    """As many partitions as can stay where they are; aiokafka keeps what a member had in the class, so each has one."""
    return type("Sticky", (StickyPartitionAssignor,), {})


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    def __init__(self, membership: KafkaMembership) -> None:
        self._membership = membership

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._membership._rejoining = True

    def on_partitions_assigned(self, assigned: Any) -> None:
        coordinator = self._membership._consumer._coordinator
        captured = Assignment(
            coordinator.member_id, coordinator.generation, frozenset(one.partition for one in assigned)
        )
        self._membership._consumer.pause(*assigned)
        self._membership._rejoining = False
        self._membership._set(captured)
