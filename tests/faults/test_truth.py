"""The truth, from outside: thousands of payments while everything is killed, stopped, rewound and appended again.

Whoever judges here shares no code with what is judged (`tests.support.outside`). Seeds differ from run to run:
`TRUTH_SEED=... pytest tests/faults/test_truth.py`, or `python -m tests.support.outside --seed ...`, takes one again.
"""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.support.outside.trial import Trial, run_trial
from tests.support.up import running

SEED = int(os.environ.get("TRUTH_SEED") or time.time_ns() % 1_000_000)
# What holds also where a command may be executed twice: the ledger books what stands on the log, nothing is lost.
ALWAYS = (
    "every request was answered",
    "answers stand on the log",
    "nothing is lost",
    "unwanted commands are dead letters",
    "charges are the fold",
    "balances are the fold",
    "keys have one life",
)


def tried(directory: Path, guarantee: str, payments: int, for_s: float) -> Trial:
    """One trial, on a stack of its own; its whole report is shown by a test that fails."""
    stack = ("--gateways", "2", "--processors", "2", "--guarantee", guarantee)
    with running(directory, *stack) as up:
        print(f"seed {SEED}, {directory}")
        try:
            trial = asyncio.run(run_trial(up.directory, SEED, payments, for_s, tell=print))
        finally:
            print(f"`payonce up` said last: {up.err[-3:]}")
    print(trial)
    assert not trial.not_struck, f"seed {SEED}: {trial.not_struck} did not succeed: {trial.failed_strikes}"
    assert trial.chaos["same bytes"], f"seed {SEED}: no old command was appended again"
    assert trial.counts["repeated replies"], f"seed {SEED}: nothing was delivered twice"
    return trial


@pytest.mark.timeout(300)
def test_exactly_once_whatever_is_killed_stopped_rewound_and_appended(tmp_path: Path) -> None:
    """One event an executed command, key record = event = answer, ledger = fold of events; nothing lost or twice."""
    trial = tried(tmp_path, "exactly-once", 3_000, 40)
    assert not trial.wrong(), f"seed {SEED}:\n" + "\n".join(trial.wrong())
    assert not trial.duplicates.total(), f"seed {SEED}: {trial.duplicates}"


@pytest.mark.timeout(300)
def test_at_least_once_the_same_shows_duplicates(tmp_path: Path) -> None:
    """The same customers and vandals are noticed where the guarantee is weaker, by cause; and still nothing is lost."""
    trial = tried(tmp_path, "at-least-once", 1_200, 15)
    wrong = [str(trial.verdicts[name]) for name in ALWAYS if trial.verdicts[name].wrong]
    assert not wrong, f"seed {SEED}:\n" + "\n".join(wrong)
    assert trial.verdicts["one event per executed command"].wrong
    assert trial.verdicts["one execution per key"].wrong
    missing = [cause for cause in ("client retry", "appended again", "rewind") if not trial.duplicates[cause]]
    assert not missing, f"seed {SEED}: no duplicate by {missing}; found {trial.duplicates}"
