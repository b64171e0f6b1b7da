"""What the gateway says on the log and what it reads there, as FastStream publishers and subscribers.

Out:     a broker object for the AsyncAPI document; it connects to nothing, and nobody calls its handler.
Source:  DESIGN, "The rooms". FastStream's producer re-sends after an unknown outcome, which is then neither
         sent nor not sent; so commands go through services.kafka, and this module is loaded for the document
         only.
"""

from faststream.kafka import KafkaBroker

from events.commands import Command
from events.replies import Reply
from events.topics import topic_name


def describe(namespace: str) -> KafkaBroker:
    broker = KafkaBroker("localhost:9092", logger=None)
    broker.publisher(
        topic_name(namespace, "commands"),
        title="Payment commands",
        description="One per HTTP attempt; the record key is the merchant's id.",
        schema=Command,
    )

    @broker.subscriber(
        topic_name(namespace, "replies"),
        isolation_level="read_committed",
        auto_offset_reset="latest",
        title="Answers",
        description="Every gateway reads all of them, without a group, and picks its own by reply_to.",
    )
    async def answer(reply: Reply) -> None: ...

    return broker
