"""Every bug on a switch is convicted: a real processor or ledger has it, and the audit of the log names its anomaly.

In:      a real Kafka; one row for each bug: what must happen before it shows, and what comes along with its anomaly.
Out:     the audit's findings, exactly; `valid` where the same happened to services without the bug.

This is the auditor's mutation test: whoever adds to `events.breaks` must add a row here.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from events.breaks import BREAKS
from simulator.audit import stuck
from simulator.audit.report import Report, Verdict
from tests.support import scenes
from tests.support.log_worlds import ProxiedBroker
from tests.support.scenes import Scene
from tests.support.stage import Stage

TRIES = 4  # a kill may miss the moment that a bug needs


class Row(NamedTuple):
    """A bug shows in this scene. `besides`: the anomalies that the same mishap cannot but be, too."""

    scene: Scene
    besides: frozenset[str] = frozenset()
    ledger: bool = False
    steady: bool = True  # the services run all the time; else the scene starts and ends them
    key_ttl: str = "24h"
    settles: bool = True  # else commands are left that nobody decides


CONTRADICTED = frozenset({"answer_mismatch"})  # the wrong deed has a wrong answer
TORN = frozenset({"torn_transaction"})
LOST = frozenset({"lost_charge"})
BELIEVED = frozenset({"aborted_read"})

killed_charging = scenes.killed_once_it_appends("charges")

ROWS: dict[str, Row] = {
    "no-fingerprint": Row(scenes.another_request_under_a_known_key, CONTRADICTED),
    "lru-keys": Row(scenes.a_key_again_after_many_others, CONTRADICTED),
    "short-expiry": Row(scenes.a_key_again_a_second_later, CONTRADICTED, key_ttl="20s"),
    "recompute-answer": Row(scenes.a_key_again_later),
    "invent-charge": Row(scenes.some_purchases),
    "swallow-reply": Row(scenes.some_purchases, TORN),
    "stale-charge": Row(scenes.captured_and_voided_at_once, CONTRADICTED),
    "capture-as-asked": Row(scenes.more_is_captured_than_held, CONTRADICTED),
    "refunds-not-added": Row(scenes.refunds_that_come_to_more_than_the_charge, CONTRADICTED),
    "skip-posting": Row(scenes.booked_purchases, ledger=True),
    "unbalanced-entry": Row(scenes.booked_purchases, ledger=True),
    "trust-group-offset": Row(
        scenes.an_old_command_delivered_again, CONTRADICTED | {"duplicate_charge"}, steady=False, key_ttl="1s"
    ),
    "retry-forever": Row(scenes.a_record_that_is_no_command, steady=False, settles=False),
    "offset-before-work": Row(killed_charging, steady=False),
    "cache-before-commit": Row(killed_charging, TORN, steady=False),
    "key-outside-transaction": Row(scenes.killed_once_it_appends("keys"), LOST, steady=False),
    "read-uncommitted": Row(scenes.killed_while_the_ledger_reads, BELIEVED, steady=False),
    "answer-before-commit": Row(scenes.killed_before_it_commits_an_answer, steady=False),
    "no-fencing": Row(scenes.a_zombie_of_the_same_group, steady=False),
    "random-transactional-id": Row(scenes.a_zombie_of_the_same_identity, steady=False),
    "old-transaction-protocol": Row(scenes.a_late_end_of_the_transaction_before, LOST, steady=False),
}

StageOf = Callable[[str | None, Row], Stage]


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The auditor waits so long for clocks that differ and stacks that come back; here is one clock, and no fault."""
    monkeypatch.setattr(stuck, "STUCK_MS", scenes.STANDS_STILL_MS - 500)


@pytest.fixture
async def stage_of(proxied_kafka: ProxiedBroker, namespace: str, tmp_path: Path) -> AsyncIterator[StageOf]:
    made: list[Stage] = []

    def make(bug: str | None, row: Row) -> Stage:
        number = len(made)
        made.append(Stage(proxied_kafka, f"{namespace}-{number}", tmp_path / str(number), bug, row.key_ttl))
        return made[-1]

    yield make
    for stage in made:
        await stage.world.close()


async def play(stage: Stage, row: Row) -> Report:
    if row.ledger:
        with stage.ledger(), stage.processor():
            await row.scene(stage)
    elif row.steady:
        with stage.processor():
            await row.scene(stage)
    else:
        await row.scene(stage)
    return await stage.audited()


def test_every_bug_has_a_row() -> None:
    """No bug can be added without showing here that it is convicted."""
    assert sorted(ROWS) == sorted(BREAKS)


@pytest.mark.parametrize("bug", ROWS)
async def test_a_bug_is_convicted(stage_of: StageOf, bug: str) -> None:
    """What services with this bug did is invalid; the anomaly is the one that the bug is known for, and no other."""
    row, expected = ROWS[bug], BREAKS[bug]
    for _ in range(1 if row.steady else TRIES):
        report = await play(stage_of(bug, row), row)
        found = {anomaly.name for anomaly in report.anomalies}
        assert found <= row.besides | {expected}, report
        if expected in found:
            break
    assert report.found(expected), report
    assert report.verdict is Verdict.INVALID
    assert bool(report.unknown) is not row.settles, report.unknown


async def test_the_same_of_healthy_services_is_valid(stage_of: StageOf) -> None:
    """What steady services were asked, asked of healthy ones, leaves nothing to convict and nothing unknown."""
    steady = [row for row in ROWS.values() if row.steady]
    stage = stage_of(None, Row(steady[0].scene))
    with stage.ledger(), stage.processor():
        for scene in dict.fromkeys(row.scene for row in steady):
            await scene(stage)
    report = await stage.audited()
    assert report.verdict is Verdict.VALID, report


# Of several bugs that show in one scene, the first.
INTERRUPTED = {row.scene: bug for bug, row in reversed(ROWS.items()) if not row.steady}


@pytest.mark.parametrize("bug", [*reversed(INTERRUPTED.values())])
async def test_the_same_interruption_of_healthy_services_is_valid(stage_of: StageOf, bug: str) -> None:
    """Killed, stopped, rewound and held up in just the same way, services without the bug do everything once."""
    report = await play(stage_of(None, ROWS[bug]), ROWS[bug])
    assert report.verdict is Verdict.VALID, report
