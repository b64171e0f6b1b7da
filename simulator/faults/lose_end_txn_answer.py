"""Answers to EndTxn are lost: the transaction is committed, or aborted, and its writer does not know which.

The loss that exactly-once is about. Whoever guesses "not committed" does the work twice, whoever guesses "committed"
tells customers of charges that may not be.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from events.guarantees import Guarantee
from simulator.faults.base import Cadence, Injection, Scene, Share
from simulator.faults.kafka_link import KafkaLinkFault, client_of, lose_answers


class LoseEndTxnAnswer(KafkaLinkFault):
    fault: Literal["lose_end_txn_answer"] = "lose_end_txn_answer"
    cadence: ClassVar = Cadence(first_s=5.0, every_s=9.0, share=0.25, lasts_s=3.0)
    under: ClassVar[frozenset[Guarantee]] = frozenset({Guarantee.EXACTLY_ONCE})

    share: Annotated[Share, Field(description="Of the answers, while it lasts; the first one always.")] = 0.1
    silent: Annotated[bool, Field(description="The connection stays open; otherwise it breaks.")] = False

    async def inject(self, scene: Scene, injection: Injection) -> None:
        client = client_of("processor")
        await lose_answers(scene, injection, "EndTxn", client, share=self.share, silent=self.silent)
