"""An EndTxn is late: it arrives while its writer's next transaction is open.

Copies a packet that a network kept for seconds after its connection broke. With the old transaction protocol the
broker ends the *next* transaction with it, half done, and nobody notices. With transaction.version 2 every end moves
the epoch, and the broker must refuse it: its answer is the proof.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from events.guarantees import Guarantee
from simulator.durations import Seconds
from simulator.faults.base import Cadence, Injection, Scene
from simulator.faults.kafka_link import KafkaLinkFault, client_of, happens, kafka_of, taken
from simulator.proxy.kafka import Act, KafkaProxy, Rule


class LateEndTxn(KafkaLinkFault):
    fault: Literal["late_end_txn"] = "late_end_txn"
    cadence: ClassVar = Cadence(first_s=6.0, every_s=12.0, share=0.3)
    under: ClassVar[frozenset[Guarantee]] = frozenset({Guarantee.EXACTLY_ONCE})

    open_for: Annotated[Seconds, Field(gt=0.0, le=4.0, description="How long the next one is kept open for it.")] = 1.0

    async def inject(self, scene: Scene, injection: Injection) -> None:
        kafka = kafka_of(scene)
        held = kafka.add(Rule(Act.HOLD_REQUEST, "EndTxn", client_of("processor")))
        added = [held]
        try:
            if not await happens(scene, injection, held):
                return
            writer = held.seen[0].client_id
            begun = kafka.add(Rule(Act.WATCH_ANSWER, "Produce", writer))
            kept_open = kafka.add(Rule(Act.DELAY_REQUEST, "EndTxn", writer, delay_ms=self.open_for * 1000))
            added += [begun, kept_open]
            if await happens(scene, injection, begun):
                await self._deliver(scene, injection, kafka, held)
        finally:
            for rule in added:
                kafka.remove(rule)

    async def _deliver(self, scene: Scene, injection: Injection, kafka: KafkaProxy, held: Rule) -> None:
        (answer,) = await kafka.release(held)
        word = taken(answer)
        scene.say(f"1 late EndTxn {word['late_end_txn']}: {word['error']}")
        injection.hit(client=held.seen[0].client_id, **word)
