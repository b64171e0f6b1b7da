"""key-outside-transaction: key records are appended by another producer, before the transaction.

Mistake: the memory of keys is a thing of its own (a Redis, a table, a second producer), written before the charge.
Shows:   when the Kafka transaction is aborted after the key was written.
Anomaly: torn_transaction. The key says that it was done; the command is answered from it, and there is no charge:
         lost_charge.
"""

from services.kafka.port import Writer
from services.processor.broken import AnotherProducer
from services.processor.parts import Parts
from services.processor.strategies import BaseOffsets, Work, exactly_once


def switch_on(parts: Parts) -> Parts:
    outside = AnotherProducer(parts.kafka)

    async def strategy(writer: Writer, work: Work) -> BaseOffsets:
        positions, keys = work.keys_parted()
        await outside.produce(keys)
        await exactly_once(writer, work._replace(keys=positions))
        return {}  # where the key records begin is not known; the store reads them again

    return parts._replace(strategy=strategy)
