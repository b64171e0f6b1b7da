"""The gateway's connection to the log: commands out, replies in, and when it may say that it is ready.

In:      settings, a KafkaConnection.
Out:     `posting` and `reading` once connected; `run` follows the replies until it is cancelled.
Units:   milliseconds.
Errors:  Fatal and Retriable from `connect`, Fatal from `run`; before `connect` has returned, Problem to
         requests.
Source:  DESIGN, "Gateway": ready once its reply positions are resolved, so that no reply to a command of ours
         can stand before them.
"""

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Final

import structlog

from events.connection import KafkaConnection
from events.partitioner import partition_of
from events.topics import topic_name
from services.gateway.admission import WAITING_FEW, Admission
from services.gateway.answers import RETRY_AFTER, Problem
from services.gateway.loop_lag import LoopLag
from services.gateway.metrics import Metrics
from services.gateway.posting import Posting
from services.gateway.replies import ReplyDesk
from services.gateway.settings import Settings
from services.gateway.turns import Turns
from services.kafka.admin import ensure_topics
from services.kafka.errors import Retriable
from services.kafka.kafka_log import KafkaLog
from services.kafka.port import Outgoing
from services.kafka.publisher import Publisher
from services.kafka.tail import Tail

if TYPE_CHECKING:
    from services.gateway.reading import Reading

_log = structlog.get_logger()

WAITING_MAX: Final = 4096  # requests, each with a body of up to 32 KiB: 128 MiB
DELIVERY_MAX_MS: Final = 10_000  # a broker that was killed is back before; then 503, and the client tries again
_FETCH_WAIT_MS: Final = 1_000  # only how often a quiet loop looks up: replies wake it at once
_PAUSE_S: Final = 0.1  # between tries to read replies while Kafka cannot be reached


def now_ms() -> int:
    """The wall clock, in Unix milliseconds: it stamps commands and judges keys, and decides nothing."""
    return time.time_ns() // 1_000_000


class Gateway:
    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self.desk = ReplyDesk(uuid.uuid4().hex)
        self.lag = LoopLag()
        self.turns = Turns()
        self._kafka: KafkaLog | None = None
        self._publisher: Publisher | None = None
        self._replies: Tail | None = None
        self._posting: Posting | None = None
        self._reading: asyncio.Task[Reading] | None = None
        self._stopping = False

    def unready(self) -> str | None:
        """Why requests cannot be served, in one sentence."""
        if self._stopping:
            return "This gateway is stopping."
        if self._posting is None:
            return "This gateway has not reached the log yet; nothing was sent."
        return None

    def is_overloaded(self) -> bool:
        """Whether one more request would wait too long, for us or for the log."""
        if self.lag.is_standing and len(self.desk) >= WAITING_FEW:  # with fewer, the machine is busy with others
            return True
        return self._posting is not None and self._posting.is_full(len(self.turns))

    def posting(self) -> Posting:
        if self._posting is None or self._stopping:
            raise Problem("unavailable", self.unready(), RETRY_AFTER)
        return self._posting

    async def reading(self) -> "Reading":
        """The reads; in its first half second a gateway that is ready lets them wait for SQLAlchemy's import."""
        if self._reading is None:
            raise Problem("unavailable", self.unready(), RETRY_AFTER)
        return await asyncio.shield(self._reading)

    async def connect(self, to: KafkaConnection) -> None:
        """Reach the log, check its topics, resolve the reply positions; afterwards requests are served."""
        ours, client_id = self._settings, f"payonce-gateway-{self.desk.reply_to.decode()[:8]}"
        delivery_ms = min(DELIVERY_MAX_MS, ours.answer_timeout // 2)
        kafka = self._kafka = await KafkaLog.connect(to, client_id=client_id)
        await ensure_topics(kafka.cluster, ours.namespace, ours.partitions)
        self._replies = await self.follow_replies(kafka)
        self._publisher = Publisher(to, f"{client_id}-commands", delivery_ms)
        await self._publisher.start()
        admission = Admission(WAITING_MAX)
        self._metrics.waiting_limit.set_function(lambda: admission.limit)
        self._posting = Posting(
            Commands(self._publisher, ours.namespace, ours.partitions),
            self.desk,
            self._metrics,
            answer_timeout_ms=ours.answer_timeout,
            in_flight=ours.in_flight,
            admission=admission,
            clock_ms=now_ms,
        )
        self._reading = asyncio.create_task(self._open_reading(kafka), name="reading")

    async def _open_reading(self, kafka: KafkaLog) -> "Reading":
        return await asyncio.to_thread(_make_reading, self._settings, kafka)

    async def follow_replies(self, kafka: KafkaLog) -> Tail:
        """Committed ones only: an answer out of an open transaction may never have been given."""
        return await Tail.start(kafka, topic_name(self._settings.namespace, "replies"), self._settings.partitions)

    async def run(self) -> None:
        """Deliver replies, batch by batch."""
        assert self._replies is not None, "connect comes first"
        while True:
            try:
                fetched = await self._replies.fetch(_FETCH_WAIT_MS)
            except Retriable as error:
                _log.warning("replies_not_readable", reason=str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            for records in fetched.values():
                await self.desk.deliver_in_turns(records)

    def stop_taking(self) -> None:
        """Refuse new commands; those on the log are still answered."""
        self._stopping = True

    async def close(self) -> None:
        if self._publisher is not None:
            await self._publisher.close()
        if self._replies is not None:
            await self._replies.close()
        if self._reading is not None:
            (await self._reading).close()
        if self._kafka is not None:
            await self._kafka.close()


def _make_reading(ours: Settings, kafka: KafkaLog) -> "Reading":
    from services.gateway.reading import Reading  # noqa: PLC0415  half a second: payments need not wait for it
    from services.readmodel.queries import ReadModel  # noqa: PLC0415

    return Reading(
        ReadModel(ours.database_url), kafka, namespace=ours.namespace, partitions=ours.partitions, clock_ms=now_ms
    )


class Commands:
    """The topic `commands`: each merchant's in the merchant's partition."""

    def __init__(self, publisher: Publisher, namespace: str, partitions: int) -> None:
        self._publisher = publisher
        self._topic = topic_name(namespace, "commands")
        self._partitions = partitions

    async def send(self, record: Outgoing) -> None:
        assert record.key is not None, "a command's record key is its merchant"
        partition = partition_of(record.key, self._partitions)
        await self._publisher.send(self._topic, partition, record.key, record.value, record.headers)
