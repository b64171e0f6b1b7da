"""The ladder of guarantees: in which order the same work reaches the log, and what ties it together.

In:      the work of one loop over all partitions, and a writer.
Out:     the offset of the first record appended to each partition.
Errors:  those of the writer. After any of them nothing is known, and every partition is taken over again.
Source:  DESIGN, "The ladder of guarantees". A crash between two of these lines is what each rung is about.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from events.guarantees import Guarantee
from events.identifiers import POSITION_KEY
from services.kafka.port import Assignment, Outgoing, TopicPartition, Writer

Records = Mapping[TopicPartition, Sequence[Outgoing]]
BaseOffsets = dict[TopicPartition, int]


class Work(NamedTuple):
    """What one loop has decided, for every partition of the process at once."""

    keys: Records  # tombstones of expired keys, then key records, then `@position`
    charges: Records
    replies: Records
    dead_letters: Records
    group: str
    commands: str  # the topic that the offsets are of
    offsets: Mapping[int, int]
    member: Assignment  # under which the commands were read
    almost_done: Callable[[], None] = lambda: None  # told when only one answer is still to come

    @property
    def everything(self) -> Records:
        return {**self.keys, **self.charges, **self.replies, **self.dead_letters}

    def keys_parted(self) -> tuple[Records, Records]:
        """The position records, and all other records of `keys`."""
        positions = {where: [one for one in some if one.key == POSITION_KEY] for where, some in self.keys.items()}
        keys = {where: [one for one in some if one.key != POSITION_KEY] for where, some in self.keys.items()}
        return positions, keys


Strategy = Callable[[Writer, Work], Awaitable[BaseOffsets]]


async def exactly_once(writer: Writer, work: Work) -> BaseOffsets:
    base_offsets = await writer.produce(work.everything)
    await commit_offsets(writer, work)
    work.almost_done()
    await writer.commit()
    return base_offsets


async def deduplicated(writer: Writer, work: Work) -> BaseOffsets:
    """A crash after the first line charges a second time: no key record says that it was done."""
    base_offsets = await writer.produce(work.charges)
    base_offsets |= await writer.produce(work.keys)
    await writer.produce({**work.replies, **work.dead_letters})
    await commit_offsets(writer, work)
    return base_offsets


async def at_least_once(writer: Writer, work: Work) -> BaseOffsets:
    """A crash after the first line does all of it again, and nothing is looked up before."""
    base_offsets = await writer.produce(work.everything)
    await commit_offsets(writer, work)
    return base_offsets


async def at_most_once(writer: Writer, work: Work) -> BaseOffsets:
    """A crash after the first line loses the work: nobody will read these commands again."""
    await commit_offsets(writer, work)
    return await writer.produce(work.everything)


async def commit_offsets(writer: Writer, work: Work) -> None:
    await writer.send_offsets(work.group, work.commands, work.offsets, work.member)


STRATEGIES: Mapping[Guarantee, Strategy] = {
    Guarantee.EXACTLY_ONCE: exactly_once,
    Guarantee.DEDUPLICATED: deduplicated,
    Guarantee.AT_LEAST_ONCE: at_least_once,
    Guarantee.AT_MOST_ONCE: at_most_once,
}
