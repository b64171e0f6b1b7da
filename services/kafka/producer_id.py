"""A producer id without a transactional id: the sequence numbers of an idempotent producer."""

from datetime import timedelta
from typing import Final

from kio.schema.init_producer_id.v5 import InitProducerIdRequest, InitProducerIdResponse
from kio.static.primitive import i16, i32Timedelta

from services.kafka.appender import Appender
from services.kafka.cluster import Cluster
from services.kafka.codes import Code, Request, failure
from services.kafka.patience import ask_again

_IGNORED_MS: Final = 60_000  # the time-out of transactions that this producer never has


async def idempotent_appender(cluster: Cluster, produce_timeout_ms: int, within_ms: float) -> Appender:
    """An appender with a producer id of its own; raises Retriable when no broker gives one in time."""
    request = InitProducerIdRequest(
        transactional_id=None,
        transaction_timeout=i32Timedelta.parse(timedelta(milliseconds=_IGNORED_MS)),
        producer_epoch=i16(-1),
    )

    async def ask() -> InitProducerIdResponse:
        answer = await cluster.ask(request, InitProducerIdResponse)
        if answer.error_code != Code.none:
            raise failure(answer.error_code, Request.INIT_PRODUCER_ID, "an idempotent producer")
        return answer

    answer = await ask_again(ask, within_ms, "a producer id")
    appender = Appender(cluster, None, produce_timeout_ms)
    appender.begin(int(answer.producer_id), int(answer.producer_epoch))
    return appender
