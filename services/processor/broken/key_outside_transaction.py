"""key-outside-transaction: key records are appended by another producer, before the transaction.

Mistake: the memory of keys is a thing of its own (a Redis, a table, a second producer), written before the charge.
Shows:   when the Kafka transaction is aborted after the key was written.
Anomaly: torn_transaction. The key says that it was done; the retry is answered from it, and there is no charge:
         lost_charge.
"""

from services.kafka.port import Log, Writer
from services.processor.parts import Parts
from services.processor.strategies import BaseOffsets, Strategy, Work, exactly_once


def key_outside_transaction(kafka: Log) -> Strategy:
    outside: list[Writer] = []

    async def strategy(writer: Writer, work: Work) -> BaseOffsets:
        if not outside:
            outside.append(await kafka.plain_writer())
        positions, keys = work.keys_parted()
        await outside[0].produce(keys)
        await exactly_once(writer, work._replace(keys=positions))
        return {}

    return strategy


def switch_on(parts: Parts) -> Parts:
    return parts._replace(strategy=key_outside_transaction(parts.kafka))
