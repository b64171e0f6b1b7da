"""offset-before-work: the position and the offsets are committed before the work.

Mistake: auto commit, or an acknowledgement at the beginning of the handler: at most once, taken for exactly once.
Shows:   when a processor dies between the two.
Anomaly: lost_charge. Nobody reads these commands again.
"""

from services.kafka.port import Writer
from services.processor.parts import Parts
from services.processor.strategies import BaseOffsets, Work, commit_offsets, exactly_once


async def offset_before_work(writer: Writer, work: Work) -> BaseOffsets:
    positions, keys = work.keys_parted()
    await exactly_once(writer, work._replace(keys=positions, charges={}, replies={}, dead_letters={}))
    await writer.produce(work._replace(keys=keys).everything)
    await commit_offsets(writer, work)
    await writer.commit()
    return {}  # where the records begin is not known well enough for a store; it reads them again


def switch_on(parts: Parts) -> Parts:
    return parts._replace(strategy=offset_before_work)
