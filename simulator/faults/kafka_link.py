"""What the faults between services and Kafka have in common: whom they strike, how long, and what is told of it.

In:      the scene's proxy, through which every Kafka client of every service comes.
Out:     one hit for a strike that met traffic, with what it did to it; one for each answer that was lost.
Units:   seconds in fields ending _s, milliseconds in those ending _ms, bytes.
Source:  client ids say whose a connection is: payonce-<role>-<instance>[-<purpose>].
"""

import asyncio
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Final, Literal

from kio.static.protocol import ResponsePayload
from pydantic import Field

from simulator.faults.base import Fault, Injection, Needs, Scene
from simulator.proxy.kafka import ALWAYS, Act, Condition, KafkaProxy, Rule, SeenRequest

Role = Literal["any", "processor", "gateway", "ledger"]
Whose = Annotated[Role, Field(description="Whose connections to Kafka.")]
MOMENT_S: Final = 10.0  # until a request passes that is made for every few payments


class KafkaLinkFault(Fault):
    """One that needs the proxy between services and broker."""

    needs: ClassVar[Needs] = "kafka_link"


def client_of(whose: Role) -> str:
    """What the client ids of these services have in common."""
    return "" if whose == "any" else f"payonce-{whose}-"


def kafka_of(scene: Scene) -> KafkaProxy:
    assert scene.kafka is not None, "the run put no proxy before Kafka, though a fault of it needs one"
    return scene.kafka


async def hold(scene: Scene, injection: Injection, condition: Condition) -> None:
    """The condition holds as long as the strike lasts; a hit if anything passed meanwhile."""
    kafka = kafka_of(scene)
    kafka.begin(condition)
    try:
        await scene.lasts(injection.lasts_s)
    finally:
        kafka.end(condition)
        if condition.frames:
            injection.hit(
                frames=condition.frames,
                bytes=condition.bytes,
                clients=len(condition.clients),
                held_ms_max=round(condition.held_ms_max, 1),
            )


async def lose_answers(
    scene: Scene, injection: Injection, request: str, client: str, *, share: float, silent: bool
) -> None:
    """While the strike lasts, this share of the answers to this request: the broker did it, and nobody is told."""
    kafka = kafka_of(scene)

    def told(lost: SeenRequest) -> None:
        injection.hit(request=lost.name, client=lost.client_id, number=lost.correlation_id)

    def decide() -> bool:
        # The first one that passes is always lost: a fault that was planned should bite.
        return not rule.seen or injection.rng.random() < share

    rule = Rule(Act.LOSE_ANSWER, request, client, times=ALWAYS, cut=not silent, decide=decide, on_bite=told)
    kafka.add(rule)
    try:
        await scene.lasts(injection.lasts_s)
    finally:
        kafka.remove(rule)


async def happens(scene: Scene, injection: Injection, rule: Rule) -> bool:
    """Wait until the rule has bitten; says why not where its moment does not come."""
    bitten = asyncio.create_task(rule.bitten.wait())
    quiet = asyncio.create_task(scene.quiet.wait())
    try:
        await asyncio.wait({bitten, quiet}, timeout=MOMENT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (bitten, quiet):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    if not rule.bitten.is_set():
        injection.found["reason"] = f"no {rule.request} of {rule.client} passed"
    return rule.bitten.is_set()


def taken(answer: ResponsePayload) -> dict[str, Any]:
    """How the broker took an EndTxn that came late: its word on it."""
    code = getattr(answer, "error_code")  # noqa: B009  only an EndTxnResponse comes here, in whichever version
    return {"late_end_txn": "refused" if int(code) else "accepted", "error": code.name, "error_code": int(code)}
