"""What a processor is put together from. A named bug is one of these parts in a wrong form (services.named_bugs).

In:      a log, a key store, terms, the name of its producer.
Out:     Parts; whoever changes nothing has exactly-once as it should be.
"""

from typing import NamedTuple

from services.kafka.kafka_log import KafkaLog, MakesWriters
from services.kafka.port import Log
from services.processor.domain.settling import Turn
from services.processor.store.port import KeyStore
from services.processor.strategies import Strategy, exactly_once
from services.processor.takeover import TakeOver
from services.processor.terms import Terms


class Parts(NamedTuple):
    kafka: Log
    store: KeyStore
    terms: Terms
    transactional_id: str
    strategy: Strategy = exactly_once  # where that is the guarantee; the others have their own
    take_over: type[TakeOver] = TakeOver

    def written_by(self, writers: MakesWriters) -> "Parts":
        """Transactions are made by such a writer. Only a real Kafka can tell it from the right one."""
        assert isinstance(self.kafka, KafkaLog), "the log in memory has one writer"
        self.kafka.writers = writers
        return self

    def settled_by(self, turn: type[Turn]) -> "Parts":
        """Batches are settled by this, over whatever settles them now."""
        over = self.terms.turn or Turn
        both = type(turn.__name__, (turn, over), {})
        return self._replace(terms=self.terms._replace(turn=both))
