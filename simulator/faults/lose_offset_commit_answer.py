"""Answers to the processors' offset commits are lost: the group's offsets moved, perhaps, and nobody is told.

Under exactly-once it is TxnOffsetCommit, inside the open transaction; below it OffsetCommit, after the work or before.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from events.guarantees import Guarantee
from simulator.faults.base import Cadence, Injection, Scene, Share
from simulator.faults.kafka_link import KafkaLinkFault, client_of, lose_answers


class LoseOffsetCommitAnswer(KafkaLinkFault):
    fault: Literal["lose_offset_commit_answer"] = "lose_offset_commit_answer"
    cadence: ClassVar = Cadence(first_s=4.0, every_s=9.0, share=0.2, lasts_s=3.0)

    share: Annotated[Share, Field(description="Of the answers, while it lasts; the first one always.")] = 0.1
    silent: Annotated[bool, Field(description="The connection stays open; otherwise it breaks.")] = False

    async def inject(self, scene: Scene, injection: Injection) -> None:
        request = "TxnOffsetCommit" if scene.guarantee is Guarantee.EXACTLY_ONCE else "OffsetCommit"
        client = client_of("processor")
        await lose_answers(scene, injection, request, client, share=self.share, silent=self.silent)
