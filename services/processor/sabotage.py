"""The processor's two named bugs that are about order and not about deciding (`--break`), here and nowhere else.

`offset-before-work`       the position and the offsets are committed before the work: lost_charge
`key-outside-transaction`  key records are appended by another producer, before the transaction: torn_transaction

Those in pure code are the domain's. Each turns exactly-once into what a reasonable person might have written.
"""

from collections.abc import Collection
from typing import Final

from events.identifiers import POSITION_KEY
from services.kafka.port import Log, Outgoing, TopicPartition, Writer
from services.processor.strategies import BaseOffsets, Strategy, Work, commit_offsets, exactly_once

BREAKS: Final = ("offset-before-work", "key-outside-transaction")


async def broken(bugs: Collection[str], log: Log) -> Strategy:
    """Exactly-once with one of the bugs; as it should be when none of them is switched on."""
    if "offset-before-work" in bugs:
        return offset_before_work
    if "key-outside-transaction" in bugs:
        return key_outside_transaction(await log.plain_writer())
    return exactly_once


async def offset_before_work(writer: Writer, work: Work) -> BaseOffsets:
    positions, keys = _parted(work)
    await exactly_once(writer, work._replace(keys=positions, charges={}, replies={}, dead_letters={}))
    await writer.produce(work._replace(keys=keys).everything)
    await commit_offsets(writer, work)
    await writer.commit()
    return {}  # where the records begin is not known well enough for a store; it reads them again


def key_outside_transaction(outside: Writer) -> Strategy:
    async def strategy(writer: Writer, work: Work) -> BaseOffsets:
        positions, keys = _parted(work)
        await outside.produce(keys)
        await exactly_once(writer, work._replace(keys=positions))
        return {}

    return strategy


def _parted(
    work: Work,
) -> tuple[dict[TopicPartition, list[Outgoing]], dict[TopicPartition, list[Outgoing]]]:
    """The position records, and all other records of `keys`."""
    positions = {where: [one for one in some if one.key == POSITION_KEY] for where, some in work.keys.items()}
    keys = {where: [one for one in some if one.key != POSITION_KEY] for where, some in work.keys.items()}
    return positions, keys
