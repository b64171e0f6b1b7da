"""docs/personas.md is what the modules say."""

from pathlib import Path

from simulator.scenario.reading import read_text
from simulator.workload.persona_page import persona_page
from simulator.workload.personas import BY_NAME, PERSONAS

PAGE = Path(__file__).parents[4] / "docs" / "personas.md"


def test_the_committed_page_is_not_stale() -> None:
    """`make schemas` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == persona_page(), "run `make schemas` and commit docs/personas.md"


def test_every_persona_has_its_row_and_its_section() -> None:
    """A row links to the section of its module, which names it."""
    page = persona_page()
    for persona in PERSONAS:
        title = type(persona).__module__.rpartition(".")[2].replace("_", " ")
        section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
        assert f"`{persona.name}`" in section
        assert f"| [`{persona.name}`](#{title.replace(' ', '-')}) |" in page


def test_the_example_on_the_page_is_a_scenario() -> None:
    """It reads as one, and names a client's bug beside customers who do well."""
    scenario = read_text(persona_page().split("```yaml\n")[1].split("```")[0], "docs/personas.md")
    assert {BY_NAME[name].is_bug for name in scenario.load.personas} == {True, False}
