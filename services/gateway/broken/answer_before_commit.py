"""answer-before-commit: whoever asked is answered while the Kafka transaction is still open.

Mistake: the answer is given as soon as the work is decided and appended (a handler that returns, a consumer of the
         replies without `isolation.level=read_committed`), and not when it is known to be committed.
Shows:   when the transaction is aborted after that: a crash, a rebalance, a time-out.
Anomaly: aborted_read. The customer was told of a charge that was then rolled back. Here it is made again later, with
         the same bytes, since every answer is a function of the log; elsewhere the customer keeps a wrong receipt.
"""

from events.topics import topic_name
from services.gateway.gateway import Gateway
from services.kafka.kafka_log import KafkaLog
from services.kafka.tail import Tail


class HastyGateway(Gateway):
    async def follow_replies(self, kafka: KafkaLog) -> Tail:
        ours = self._settings
        return await Tail.start(kafka, topic_name(ours.namespace, "replies"), ours.partitions, committed=False)


def switch_on(gateway: type[Gateway]) -> type[Gateway]:
    return HastyGateway
