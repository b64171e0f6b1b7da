"""Scenario files: what may be written, what is refused and how it is said, and what a seed makes of it."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.durations import read_seconds, write_seconds
from simulator.failure import UsageFailure
from simulator.faults import FAULTS
from simulator.faults.plan import plan_strikes
from simulator.scenario.models import Scenario
from simulator.scenario.preview import lines, preview
from simulator.scenario.reading import find, read_text, shipped

MINE = """\
name: mine
about: one line
system: {processors: 1, key_ttl: 2s, break: [lru-keys]}
load:
  warm_up: 1s
  stages:
    - {for: 2s, rate: 5}
    - {for: 3s, rate: 5, to: 50}
  personas: {careful: 1}
  journeys: {hold + capture_part + refund: 1}
faults:
  - lose_request
  - fault: kill_processor
    at: [500ms, 4s]
thresholds:
  - p99{replay} < 80ms
  - duplicate_charge == 0
"""


def test_a_file_says_everything() -> None:
    """Durations have units, a fault is its name or a mapping, and what is left out has its default."""
    scenario = read_text(MINE, "mine.yaml")
    assert scenario.duration_s == 5.0
    assert scenario.load.highest_rate == 50.0
    assert scenario.system.breaks == ("lru-keys",)
    assert [fault.name for fault in scenario.faults] == ["lose_request", "kill_processor"]
    assert [s.at_s for s in plan_strikes(1, 5.0, scenario.faults) if s.fault.name == "kill_processor"] == [0.5, 4.0]
    assert scenario.load.cards == Scenario(name="x").load.cards


def test_what_was_read_can_be_written_and_read_again() -> None:
    """A report carries the whole scenario; from it the same one comes back."""
    for scenario in (read_text(MINE, "mine.yaml"), *shipped().values()):
        assert read_text(json.dumps(scenario.plain()), "again.json") == scenario


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (MINE.replace("rate: 5}", "rate: fast}"), "mine.yaml:7: load.stages[0].rate: "),
        (MINE.replace("warm_up: 1s", "warm_up: 1"), "mine.yaml:5: load.warm_up: 1 has no unit"),
        (MINE.replace("key_ttl: 2s", "key_ttl: 24"), "mine.yaml:3: system.key_ttl: 24 has no unit"),
        (MINE.replace("careful: 1", "carefull: 1"), "mine.yaml:9: load.personas: there is no persona 'carefull'"),
        (MINE.replace("about:", "abuot:"), "mine.yaml:2: abuot: this field is not known."),
        (MINE.replace("at: [500ms", "art: [500ms"), "mine.yaml:14: faults[1].art: this field is not known."),
        (
            MINE.replace("fault: kill_processor", "fault: kil"),
            "mine.yaml:13: faults[1]: there is no fault 'kil'; there is",
        ),
        (MINE.replace("- lose_request", "- share: 1"), "mine.yaml:12: faults[0]: a fault is its name, or a mapping"),
        (MINE.replace("[500ms, 4s]", "[500ms, 9s]"), "mine.yaml:1: kill_processor would strike at 9 s"),
        (
            MINE.replace("p99{replay} < 80ms", "p99 < 80"),
            "mine.yaml:16: thresholds[0]: 'p99 < 80': p99 is measured in ms or s.",
        ),
        (
            MINE.replace("duplicate_charge ==", "duplicated =="),
            "thresholds[1]: there is no metric 'duplicated'; there is p50",
        ),
        (MINE.replace("hold + capture_part", "capture"), "mine.yaml:10: load.journeys: 'capture + refund' is not a"),
        (MINE.replace("lru-keys", "lru"), "mine.yaml:3: system.break: there is no bug 'lru'"),
        (MINE + "name: twice\n", "mine.yaml:18: found duplicate key"),
        (MINE + "load\n", "mine.yaml:1"),
        ("", "mine.yaml:1: a scenario is a mapping"),
        ("- a\n", "mine.yaml:1: a scenario is a mapping"),
        ("about: no name\n", "mine.yaml:1: name: this field is missing."),
        ("name: a\nload: {stages: [{for: 1s, rate: 0}]}\n", "mine.yaml:2: load: no stage has a rate above 0"),
        ("name: a\nload: {stages: []}\n", "mine.yaml:2: load.stages: "),
        ("name: a\nload: {warm_up: 30s}\n", "mine.yaml:2: load: `warm_up` is as long as the run"),
        ("name: a\nversion: 2\n", "mine.yaml:2: version: input should be 1."),
        ("name: 'A b'\n", "mine.yaml:1: name: "),
        ("a: &a [1]\nb: " + "[" * 200 + "]" * 200, "mine.yaml"),
    ],
)
def test_a_mistake_is_one_sentence_with_line_and_field(text: str, sentence: str) -> None:
    """Whoever wrote the file finds the place without counting."""
    with pytest.raises(UsageFailure) as refused:
        read_text(text, "mine.yaml")
    assert sentence in str(refused.value)
    assert "\n  " not in str(refused.value)


def test_a_wrong_item_is_one_mistake() -> None:
    """The list that it stands in is not called too short besides."""
    with pytest.raises(UsageFailure) as refused:
        read_text("name: mine\nload:\n  stages:\n    - {for: 5s, rate: -3}\n", "mine.yaml")
    assert str(refused.value) == "mine.yaml:4: load.stages[0].rate: input should be greater than or equal to 0."


def test_aliases_cannot_make_a_small_file_a_huge_one() -> None:
    """A few lines that would unfold into billions of values are refused, at once."""
    layers = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    layers += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(UsageFailure, match="more than 100,000 values"):
        read_text("\n".join(layers), "bomb.yaml")


def test_a_scenario_is_found_by_name_or_by_path(tmp_path: Path) -> None:
    """A name that is nearly one is answered with the one; a path with why it cannot be read."""
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE)
    assert find(str(mine)).name == "mine"
    assert find("calm").name == "calm"
    with pytest.raises(UsageFailure, match=r"There is no scenario 'clam'; did you mean calm\?"):
        find("clam")
    with pytest.raises(UsageFailure, match="cannot be read: No such file"):
        find(str(tmp_path / "none.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff")
    with pytest.raises(UsageFailure, match="is not UTF-8"):
        find(str(tmp_path / "latin.yaml"))


def test_every_shipped_scenario_is_named_like_its_file_and_says_what_it_shows() -> None:
    """`--list` has a line for each; the default comes first."""
    assert next(iter(shipped())) == "checkout"
    for name, scenario in shipped().items():
        assert scenario.name == name
        assert 20 < len(scenario.about) < 120


def test_everything_has_every_fault_there_is() -> None:
    """A new fault is not forgotten there: `everything` says so of itself."""
    assert {fault.name for fault in shipped()["everything"].faults} == {
        kind.model_fields["fault"].default for kind in FAULTS
    }


def test_rate_and_duration_keep_the_shape() -> None:
    """`--rate` is the highest rate, `--duration` stretches the stages and the instants of the faults."""
    scenario = read_text(MINE, "mine.yaml")
    faster = scenario.at_rate(100.0)
    assert [(stage.rate, stage.to) for stage in faster.load.stages] == [(10.0, None), (10.0, 100.0)]
    longer = scenario.lasting(10.0)
    assert [stage.for_ for stage in longer.load.stages] == [4.0, 6.0]
    assert longer.faults[1].at == (1.0, 8.0)
    assert longer.load.warm_up == 2.0


def test_a_preview_is_the_plan_itself() -> None:
    """Its numbers are those of the plans, and the same seed tells the same."""
    scenario = read_text(MINE, "mine.yaml")
    told = preview(scenario, 7)
    assert told == preview(scenario, 7) != preview(scenario, 8)
    assert sum(told["personas"].values()) == told["purchases"] == told["operations"]["charge.create"]
    assert json.loads(json.dumps(told)) == told
    assert any("kill_processor" in line for line in lines(told))


@given(st.integers(min_value=0, max_value=10**10))
@settings(max_examples=200, deadline=None)
def test_durations_survive_being_written(ms: int) -> None:
    """Every whole number of milliseconds is read back as it was."""
    assert read_seconds(write_seconds(ms / 1_000.0)) == ms / 1_000.0


@pytest.mark.parametrize("written", ["4", 4, 4.5, True, None, "4 sec", "-1s", "s", ""])
def test_a_duration_without_its_unit_is_refused(written: object) -> None:
    """Four what?"""
    with pytest.raises(ValueError, match=r"unit|duration"):
        read_seconds(written)


def test_the_example_of_the_page_is_a_scenario() -> None:
    """What docs/scenarios.md shows can be run as it stands."""
    page = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n")[1].split("```")[0]
    assert read_text(example, "scenarios.md").name == "evening"
