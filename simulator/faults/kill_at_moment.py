"""A processor is killed at a named moment of its protocol, exactly there: the proxy sees the moment and holds it.

- `after_append`: its records are on the log, and it has not been told.
- `before_commit`: its offsets are in the transaction too, and its EndTxn has not left.
- `after_commit`: the transaction is committed, and it has not been told: nothing of it is in its store.
- `during_take_over`: killed a second time, while it reads the log to take its partitions over again.

Copies a machine that loses power, and takes the luck out of it. What it left open is aborted, or committed, by the
log alone; whoever takes over must come to the same state as if nobody had died.
"""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from events.guarantees import Guarantee
from simulator.faults.base import Cadence, Injection, Scene, Victim
from simulator.faults.kafka_link import KafkaLinkFault, happens, kafka_of
from simulator.faults.kill_processor import bury, choose_processor
from simulator.faults.processes import successor
from simulator.log_watch import Owner
from simulator.proxy.kafka import Act, Rule

Moment = Literal["after_append", "before_commit", "after_commit", "during_take_over"]
# A silent loss: the processor waits for what never comes, and so stands at the moment until it is dead.
HELD_AT: Final[dict[str, tuple[Act, str]]] = {
    "after_append": (Act.LOSE_ANSWER, "Produce"),
    "before_commit": (Act.LOSE_REQUEST, "EndTxn"),
    "after_commit": (Act.LOSE_ANSWER, "EndTxn"),
    "during_take_over": (Act.LOSE_ANSWER, "ListOffsets"),
}


class KillAtMoment(KafkaLinkFault):
    fault: Literal["kill_at_moment"] = "kill_at_moment"
    cadence: ClassVar = Cadence(first_s=4.0, every_s=9.0, share=0.2)
    disturbs: ClassVar = "processor"
    under: ClassVar[frozenset[Guarantee]] = frozenset({Guarantee.EXACTLY_ONCE})

    moment: Annotated[Moment | Literal["any"], Field(description="Where it dies; any: the seed decides.")] = "any"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        moment = injection.rng.choice(list(HELD_AT)) if self.moment == "any" else self.moment
        victim, owner = await choose_processor(scene, injection)
        if moment == "during_take_over":
            await bury(scene, victim, owner)
            heir = await successor(scene, injection, victim)
            if heir is None:
                return
            victim = heir
        await self._kill(scene, injection, moment, victim, owner)

    async def _kill(self, scene: Scene, injection: Injection, moment: str, victim: Victim, owner: Owner) -> None:
        act, request = HELD_AT[moment]
        kafka = kafka_of(scene)
        rule = kafka.add(Rule(act, request, f"payonce-processor-{owner.instance}", cut=False))
        try:
            if not await happens(scene, injection, rule):
                return
            await bury(scene, victim, owner)
        finally:
            kafka.remove(rule)
        scene.say(f"killed processor {victim.index} {moment.replace('_', ' ')}")
        injection.hit(process=f"processor {victim.index}", pid=victim.pid, moment=moment, client=rule.seen[0].client_id)
        await successor(scene, injection, victim)
