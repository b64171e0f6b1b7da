"""A processor is cut off from Kafka in mid-work and goes on running: a zombie without a signal.

Copies a machine that lost its network and nothing else. Nothing arrives from the very request on that would have
finished its work (EndTxn; below exactly-once the offset commit; at-most-once the work itself). Its group misses it,
another takes over; then the wire is mended, and all that it had sent arrives at once, that request first. Under
exactly-once what it had open must be aborted by then, and its EndTxn refused.
"""

from typing import ClassVar, Final, Literal

from events.guarantees import Guarantee
from simulator.faults.base import Cadence, Injection, Scene
from simulator.faults.heirs import has_heirs, is_member_again, wait_for_heirs
from simulator.faults.kafka_link import KafkaLinkFault, happens, kafka_of, taken
from simulator.faults.kill_processor import choose_processor, proof_of
from simulator.faults.midwork import OUTPUTS, surely_unfinished
from simulator.proxy.kafka import Act, Condition, Rule

FINISHING: Final = {
    Guarantee.EXACTLY_ONCE: "EndTxn",
    Guarantee.DEDUPLICATED: "OffsetCommit",
    Guarantee.AT_LEAST_ONCE: "OffsetCommit",
    Guarantee.AT_MOST_ONCE: "Produce",
}


class IsolateProcessor(KafkaLinkFault):
    fault: Literal["isolate_processor"] = "isolate_processor"
    cadence: ClassVar = Cadence(first_s=6.0, every_s=22.0, share=0.3)
    disturbs: ClassVar = "processor"
    processors: ClassVar = 2

    async def inject(self, scene: Scene, injection: Injection) -> None:
        if not has_heirs(scene, injection):
            return
        victim, owner = await choose_processor(scene, injection)
        kafka = kafka_of(scene)
        client = f"payonce-processor-{owner.instance}"
        since = await scene.log.ends(scene.log.spots("commands", *OUTPUTS, partitions=owner.partitions))
        alone = Condition(client, silent=True)
        rule = Rule(Act.BEGIN_CONDITION, FINISHING[scene.guarantee], client, condition=alone)
        kafka.add(rule)
        try:
            if not await happens(scene, injection, rule):
                return
            scene.say(f"cut processor {victim.index} off from Kafka at its {rule.request}")
            caught = await surely_unfinished(scene.log, scene.ways_to_work, owner.partitions, since)
            if not await wait_for_heirs(scene, injection, owner):
                return
            # Before the wire is mended: what it had open is aborted by then, and what is done again is seen.
            proof = {} if caught is None or caught.seen_as is Guarantee.AT_MOST_ONCE else await proof_of(scene, caught)
        finally:
            kafka.remove(rule)
            kafka.end(alone)
        scene.say(f"processor {victim.index} reaches Kafka again")
        if await is_member_again(scene, victim, owner):
            proof["rejoined"] = 1
        told = taken(rule.late_answers[0]) if rule.late_answers and rule.request == "EndTxn" else {}
        after_s = injection.found["taken_over_after_s"]
        injection.hit(process=f"processor {victim.index}", pid=victim.pid, taken_over_after_s=after_s, **proof, **told)
