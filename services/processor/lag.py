"""How many commands are on the log and not executed, for Prometheus.

Units:   commands; markers count as such, so that a topic written in Kafka transactions never shows quite none.
Errors:  none: a broker that does not answer leaves the last number standing.
"""

from typing import Final

import structlog

from services.kafka.errors import KafkaFailure
from services.kafka.port import Log
from services.processor.observer import Observer
from services.processor.surroundings import Surroundings
from services.processor.terms import Terms

LOOK_EVERY_MS: Final = 2_000

log = structlog.get_logger(__name__)


async def watch_lag(kafka: Log, terms: Terms, observer: Observer, surroundings: Surroundings) -> None:
    """Until cancelled."""
    while True:
        await surroundings.sleep(LOOK_EVERY_MS)
        try:
            ends = await kafka.high_watermarks([terms.where("commands", one) for one in observer.states])
        except KafkaFailure as error:
            log.debug("lag_not_known", why=str(error))
        else:
            observer.lagging({where.partition: end for where, end in ends.items()})
