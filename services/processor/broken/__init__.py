"""The processor's named bugs (`--break NAME`), one a file; services.named_bugs says how they come in.

Each file says what the mistake is, what must happen before it shows, and which anomaly it is then.
"""

from services.kafka.port import Log, Writer
from services.processor.strategies import Records


class AnotherProducer:
    """One beside the transactional one: what it appends can be read at once, whatever becomes of the transaction."""

    def __init__(self, kafka: Log) -> None:
        self._kafka = kafka
        self._writer: Writer | None = None

    async def produce(self, records: Records) -> None:
        writer, self._writer = self._writer, None  # after a failure a new one has to be made
        if writer is None:
            writer = await self._kafka.plain_writer()
        await writer.produce(records)
        self._writer = writer
