"""What a witness shows: who did what when, in columns; and the command that makes the run again."""

import shlex

import pytest

from events.guarantees import Guarantee
from simulator.audit.log import Fate
from simulator.audit.report import Report, Row, Witness
from simulator.reproduce import command_of
from simulator.scenario.reading import read_text, shipped
from tests.support.written_log import WrittenLog


def charged_twice() -> WrittenLog:
    """A processor charges and is killed; its successor charges again, as faults bite before, meanwhile and after."""
    log = WrittenLog("at-least-once")
    log.fault("lose_request", "hit")
    log.meant("i-1")
    command = log.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log.producer = (4001, 7)
    log.event(command, fate=Fate.ABORTED)
    log.sequences.clear()
    log.event(command)
    log.fault("kill_processor", "hit", process="processor 1", pid=4711)
    log.fault("lose_response", "hit", gateway="gateway 0")
    log.fault("lose_response", "hit", gateway="gateway 1")
    log.producer = (4002, 0)
    log.event_again(command)
    answer = log.executed(command, only="reply")
    log.heard("i-1", answer)
    log.fault("rewind_offsets", "hit")
    return log


def the_witness(report: Report) -> Witness:
    (anomaly,) = report.anomalies
    (witness,) = anomaly.witnesses
    return witness


def test_a_witness_has_a_column_for_everybody() -> None:
    """Customer, gateway, records, who wrote them, and the faults that bit in that time."""
    rows = the_witness(charged_twice().audit()).rows
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert rows[0].client == "customer shop/i-1 (tester): means charge.create, once"
    (asked,) = (row for row in rows if row.gateway)
    assert (asked.client, asked.gateway) == (
        "customer i-1: attempt 1, charge.create, key k",
        "http://127.0.0.1:1",
    )
    written = [(row.offsets.split(":")[0], row.epoch) for row in rows if row.offsets]
    assert written == [
        ("commands 0@0", ""),
        ("charges 0@0", "4001/7"),
        ("charges 0@1", "4001/7"),
        ("charges 0@2", "4002/0"),
    ]
    assert "aborted record" in next(row.offsets for row in rows if row.epoch)
    assert [row.broker for row in rows if row.broker] == [
        "kill_processor bit: process processor 1, pid 4711",
        "lose_response bit ×2: gateway gateway 0",
    ]


def test_each_row_is_a_line_as_well() -> None:
    """For those who read text."""
    witness = the_witness(charged_twice().audit())
    assert len(witness.timeline) == len(witness.rows)
    for row, line in zip(witness.rows, witness.timeline, strict=True):
        assert row.client in line
        assert row.offsets in line
        assert row.broker in line
    assert any(line.endswith("[producer 4002/0]") for line in witness.timeline)


def test_what_a_library_sends_again_is_told() -> None:
    """It is the client's doing, and goes through another gateway perhaps."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    command = log.command("k", metadata={"intent": "i-1"})
    log.sent("i-1", command)
    log._line("resend", intent="i-1", attempt=1, gateway="gateway 1")
    log.executed(command, only="event reply")
    log.event_again(command)
    rows = the_witness(log.audit()).rows
    assert [row.client for row in rows if row.gateway == "gateway 1"] == [
        "customer i-1: attempt 1 is sent again by the client's library"
    ]


def test_the_smallest_witness_comes_first() -> None:
    """Of as many records the shorter time; a second duplicate within 10 ms before one after an hour."""
    log = WrittenLog("deduplicated")
    first, second = log.command("k1"), log.command("k2")
    for command in (first, second):
        log.executed(command)
    log.event_again(second)
    log.now += 3_600_000
    log.event_again(first)
    (anomaly,) = log.audit().anomalies
    assert [witness.subject for witness in anomaly.witnesses] == ["shop/k2", "shop/k1"]


def test_a_long_story_is_cut_in_the_middle() -> None:
    """Its beginning and its end are told, and how much is not."""
    log = WrittenLog("at-least-once")
    log.meant("i-1")
    for attempt in range(1, 40):
        command = log.command("k", metadata={"intent": "i-1"})
        log.sent("i-1", command, attempt)
        log.executed(command, only="event reply")
        log.unknown("i-1", attempt)
    rows = log.audit().anomalies[0].witnesses[0].rows
    assert len(rows) == 41
    assert isinstance(rows[20], Row)
    assert rows[20].offsets.startswith("… ")


RUN = {"seed": 7, "scenario": "checkout"}


@pytest.mark.parametrize(
    ("rate", "duration", "options"),
    [
        (None, None, ""),
        (37.0, None, " --rate 37"),
        (None, 12.5, " --duration 12.5s"),
        (11.0, 7.0, " --rate 11 --duration 7s"),
    ],
)
def test_a_shipped_scenario_is_named_with_what_was_changed(
    rate: float | None, duration: float | None, options: str
) -> None:
    """The very options that were given, found again in the numbers they became."""
    scenario = shipped()["checkout"]
    scenario = scenario if rate is None else scenario.at_rate(rate)
    scenario = scenario if duration is None else scenario.lasting(duration)
    said = command_of({**RUN, "scenario_file": scenario.plain()})
    assert said == f"payonce simulate checkout --seed 7 --guarantee {scenario.system.guarantee}{options}"


def test_the_stack_is_part_of_the_command() -> None:
    """Guarantee, bugs, sizes and a processor of one's own."""
    scenario = shipped()["checkout"]
    changes = {"guarantee": Guarantee.AT_LEAST_ONCE, "breaks": ("lru-keys",), "processors": 5, "key_ttl": "1h"}
    system = scenario.system.model_copy(update=changes)
    merchants = scenario.load.merchants.model_copy(update={"count": 9})
    load = scenario.load.model_copy(update={"merchants": merchants})
    scenario = scenario.model_copy(update={"system": system, "load": load})
    said = command_of({**RUN, "scenario_file": scenario.plain(), "processor": "python mine.py"})
    stack = "--guarantee at-least-once --processors 5 --key-ttl 1h --break lru-keys --merchants 9"
    assert shlex.split(said)[5:] == ["--processor", "python mine.py", *stack.split()]


def test_a_scenario_of_ones_own_is_taken_out_of_the_history() -> None:
    """No option says it, but the run line has all of it."""
    mine = read_text("name: mine\nload: {stages: [{for: 5s, rate: 3}]}\n", "mine.yaml")
    changed = shipped()["checkout"].model_copy(update={"faults": ()})
    for scenario in (mine, changed):
        said = command_of({"seed": 7, "scenario": scenario.name, "scenario_file": scenario.plain()})
        assert said.endswith("> scenario.json && payonce simulate scenario.json --seed 7")


@pytest.mark.parametrize("run", [{}, {"seed": 7}, {**RUN}, {**RUN, "scenario_file": {"name": "?"}}])
def test_what_is_not_known_is_not_made_up(run: dict[str, object]) -> None:
    """A history of another program, or of an older one, names no command."""
    assert command_of(run) == ""
