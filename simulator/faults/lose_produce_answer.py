"""Answers to Produce are lost: the records are on the log, and whoever sent them does not know.

Copies the loss that makes producers send again. A sequence number says that it is a second copy; a gateway that cannot
tell any more answers 504, and its customer asks again with the same key.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Injection, Scene, Share
from simulator.faults.kafka_link import KafkaLinkFault, Whose, client_of, lose_answers


class LoseProduceAnswer(KafkaLinkFault):
    fault: Literal["lose_produce_answer"] = "lose_produce_answer"
    cadence: ClassVar = Cadence(first_s=3.0, every_s=9.0, share=0.15, lasts_s=3.0)

    whose: Whose = "any"
    share: Annotated[Share, Field(description="Of the answers, while it lasts; the first one always.")] = 0.1
    silent: Annotated[bool, Field(description="The connection stays open; otherwise it breaks.")] = False

    async def inject(self, scene: Scene, injection: Injection) -> None:
        client = client_of(self.whose)
        await lose_answers(scene, injection, "Produce", client, share=self.share, silent=self.silent)
