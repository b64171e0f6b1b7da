"""retry-forever: what cannot be executed is tried again until it can be.

Mistake: a handler that fails gives its record back and there are no dead letters: the consumer seeks back to where it
         was and reads the same bytes again (spring-projects/spring-kafka#2039 is one who met it).
Shows:   when one record that nobody can execute stands in a partition.
Anomaly: stuck. Everything behind that record waits as well, for ever. A restart does not help, nor another processor.
"""

import asyncio
from typing import Final

from services.kafka.errors import Retriable
from services.kafka.port import Writer
from services.processor.parts import Parts
from services.processor.strategies import BaseOffsets, Work, exactly_once

PAUSE_S: Final = 0.2


async def retry_forever(writer: Writer, work: Work) -> BaseOffsets:
    if work.dead_letters:
        await asyncio.sleep(PAUSE_S)
        raise Retriable("a record cannot be executed, and is tried again")
    return await exactly_once(writer, work)


def switch_on(parts: Parts) -> Parts:
    return parts._replace(strategy=retry_forever)
