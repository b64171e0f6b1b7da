"""Every kind of customer at once, on a real stack that loses answers: who is charged twice, counted on the log.

The count is made here from the charge events alone; the auditor must come to the same.
"""

import asyncio
from collections import Counter
from pathlib import Path

import orjson
import pytest

from events.connection import KafkaConnection, connection
from simulator.audit.log import Fate
from simulator.broker.embedded import EmbeddedBroker
from simulator.faults.lose_response import LoseResponse
from simulator.history import read_history
from simulator.log_reader import LogReader
from simulator.run import RunOptions, RunResult, run_once
from simulator.scenario.models import Load, Scenario, Stage
from simulator.stack_options import StackOptions
from simulator.workload.behaviour import Expects
from simulator.workload.personas import BY_NAME, PERSONAS, swr

SEED = 341  # of each kind somebody comes; of those that are a bug at least eleven
OF_EACH_MIN = 11  # two in three of their first answers are lost
EVERYBODY = [persona for persona in PERSONAS if persona.expects is not Expects.UNPROTECTED]  # those are refused here
SCENARIO = Scenario(
    name="everybody",
    load=Load(
        stages=(Stage(for_="7s", rate=45.0),),
        personas={persona.name: 4 if persona.is_bug or "resend" in persona.name else 1 for persona in EVERYBODY},
        cards={"pm_card_visa": 1},
        journeys={"pay": 1},
    ),
    faults=(LoseResponse(first="500ms", every="20s", lasts="6s", share=0.65),),
)


class Quiet:
    def progress(self, sentence: str) -> None:
        pass

    def line(self, sentence: str) -> None:
        print(sentence)


async def executions(where: KafkaConnection, namespace: str) -> Counter[str]:
    """How often each intent's charge was made, from the charge events that are committed."""
    made: Counter[str] = Counter()
    async with LogReader(where, namespace) as log:
        for partition in range(log.extent.partitions):
            async for entries in log.read("charges", partition):
                for entry in entries:
                    if entry.fate is Fate.COMMITTED:
                        event = orjson.loads(entry.value or b"")
                        made[event["data"]["charge"]["metadata"]["intent"]] += event["type"] == "charge.succeeded"
    return made


@pytest.mark.timeout(150)
async def test_only_who_uses_two_keys_is_charged_twice(
    kafka: EmbeddedBroker, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly-once charges nobody twice who keeps a key, and convicts every kind that does not as overcharged."""
    monkeypatch.setattr(swr, "INTERVAL_MS", 500.0)  # a tenth, so that its third try falls into the run
    stack = StackOptions(
        dir=tmp_path, kafka=kafka.bootstrap_servers, namespace=namespace, gateways=2, guarantee="exactly-once"
    )
    result: RunResult = await run_once(RunOptions(stack, SEED, SCENARIO), Quiet(), asyncio.Event())
    history = list(read_history(tmp_path / "history.jsonl"))
    persona = {line["intent"]: line["persona"] for line in history if line["kind"] == "intent"}
    answered = {line["intent"] for line in history if line["kind"] == "ok"}
    made = await executions(connection(kafka.bootstrap_servers), result.summary["run"]["namespace"])
    planned = Counter(persona.values())
    twice = Counter(persona[intent] for intent, times in made.items() if times > 1)
    print(f"planned {planned}\ncharged twice {twice}")

    assert planned.keys() == {persona.name for persona in EVERYBODY}
    assert min(planned[name] for name in BY_NAME if BY_NAME[name].is_bug) >= OF_EACH_MIN
    assert twice.keys() == {name for name in BY_NAME if BY_NAME[name].is_bug}
    insisting = {intent for intent, name in persona.items() if BY_NAME[name].expects is Expects.CHARGED_ONCE}
    assert insisting <= answered
    assert {made[intent] for intent in insisting} == {1}
    assert any(line["kind"] == "resend" for line in history)

    found = {(anomaly.name, anomaly.cause): anomaly.count for anomaly in result.report.anomalies}
    assert found == {("duplicate_charge", "new_key"): sum(times - 1 for times in made.values() if times > 1)}
    assert not any(result.report.counts.duplicates[cause] for cause in ("client_retry", "crash_redelivery", "rewind"))
