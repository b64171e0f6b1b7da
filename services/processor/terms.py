"""The terms a processor works under, fixed for its life.

Units:   milliseconds.
"""

from functools import cache
from typing import Final, NamedTuple

from events.guarantees import Guarantee
from events.topics import processor_group, topic_name
from services.kafka.port import Scope, TopicPartition
from services.processor.domain.settling import Turn

SESSION_TIMEOUT_MS: Final = 6_000  # the broker's own lower bound: a dead processor is missed after this
TRANSACTION_TIMEOUT_MS: Final = 5_000  # below it: whoever takes over must not wait for the dead one's transaction

WRITTEN: Final = ("keys", "charges", "replies", "dead-letters")


class Terms(NamedTuple):
    namespace: str
    partitions: int
    window_ms: int
    guarantee: Guarantee = Guarantee.EXACTLY_ONCE
    turn: type[Turn] | None = None  # who settles a batch, where a named bug does
    session_timeout_ms: int = SESSION_TIMEOUT_MS
    transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS

    @property
    def exactly_once(self) -> bool:
        return self.guarantee is Guarantee.EXACTLY_ONCE

    @property
    def group(self) -> str:
        return processor_group(self.namespace)

    @property
    def scope(self) -> Scope:
        """What a processor's transactions write to."""
        return Scope(tuple(self.topic(name) for name in WRITTEN), self.group)

    def topic(self, name: str) -> str:
        return topic_name(self.namespace, name)

    def where(self, name: str, partition: int) -> TopicPartition:
        return _where(self.namespace, name, partition)


@cache
def _where(namespace: str, name: str, partition: int) -> TopicPartition:
    """Asked for thirty times in a small transaction, and always about the same few."""
    return TopicPartition(topic_name(namespace, name), partition)
