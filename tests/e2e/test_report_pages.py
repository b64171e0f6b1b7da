"""Reports as their readers see them: in a real Chromium, from a file, without a network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from simulator.report.rendering import render_comparison, render_defences_folder, render_folder
from tests.support.browser import a_browser, visit
from tests.support.finished_run import ATTACK, charged_once, charged_twice, defences_compared, searched

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all pages of this file."""
    with a_browser() as browser:
        yield browser


def rendered(folder: Path) -> Path:
    render_folder(folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind: something went wrong, nothing did, both side by side; a search; what clients do."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [charged_twice(folder / "at-least-once"), charged_once(folder / "exactly-once")]
    for run in runs:
        render_folder(run)
    return {
        "invalid": runs[0] / "report.html",
        "valid": runs[1] / "report.html",
        "compared": render_comparison(folder, runs),
        "searched": rendered(searched(tmp_path_factory.mktemp("searched"))),
        "defences": render_defences_folder(defences_compared(tmp_path_factory.mktemp("defences"))),
    }


@pytest.mark.parametrize("which", ["invalid", "valid", "searched", "compared"])
def test_a_page_opens_offline_and_draws_every_plot(which: str, browser: Browser, pages: dict[str, Path]) -> None:
    """Nothing is asked for but the file itself, nothing is complained about, and no plot stays empty."""
    with visit(browser, pages[which]) as seen:
        assert seen.requests == [pages[which].as_uri()]
        drawn = seen.drawn()
        assert drawn
        assert all(drawn.values()), drawn
        assert seen.complaints == []


@pytest.mark.parametrize("which", ["invalid", "valid", "searched", "compared", "defences"])
@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_scrolls_sideways(which: str, width: int, browser: Browser, pages: dict[str, Path]) -> None:
    """Neither on a small telephone nor on a large screen, with everything that can be unfolded unfolded."""
    with visit(browser, pages[which], width=width) as seen:
        seen.page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert seen.overflow_px() == 0


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_a_page_follows_the_readers_light_and_the_button_turns_it(
    scheme: Literal["light", "dark"], dark: bool, browser: Browser, pages: dict[str, Path]
) -> None:
    """Dark where the system is dark, light where it is light, and the other one after a press of the key."""

    def is_dark(colour: str) -> bool:
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) < 3 * 128

    with visit(browser, pages["invalid"], scheme=scheme) as seen:
        assert is_dark(seen.colour("body", "backgroundColor")) is dark
        assert is_dark(seen.colour("h1", "color")) is not dark
        seen.page.focus("#theme")
        seen.page.keyboard.press("Enter")
        assert is_dark(seen.colour("body", "backgroundColor")) is not dark


def test_a_search_is_drawn_with_its_threshold_and_every_step_that_measured_something(
    browser: Browser, pages: dict[str, Path]
) -> None:
    """Five of six steps had a value: three dots, two crosses, one dashed line."""
    with visit(browser, pages["searched"]) as seen:
        svg = seen.page.locator('[data-plot="rates"] svg')
        assert svg.locator("circle").count() == 3
        assert svg.locator('g[aria-label="dot"] path').count() == 2
        assert svg.locator('g[aria-label="rule"][stroke-dasharray] line').count() == 1
        assert "p99<100ms" in svg.text_content()


def test_a_table_wider_than_the_page_is_scrolled_with_the_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    """It can be reached, and says whose it is; one that fits is no stop on the way."""
    with visit(browser, pages["searched"], width=390) as seen:
        table = seen.page.locator("#rates ~ .wide").first
        assert table.get_attribute("tabindex") == "0"
        assert (table.get_attribute("aria-label") or "").startswith("Table: The highest rate")
    with visit(browser, pages["searched"]) as seen:
        assert seen.page.locator("#rates ~ .wide").first.get_attribute("tabindex") is None


def test_the_page_of_defences_is_a_table_that_is_read_on_any_screen_and_on_paper(
    browser: Browser, pages: dict[str, Path]
) -> None:
    """Rows and cells keep their roles when they are stacked, words stay dark on red, and paper keeps the colour."""
    for width in (390, 1280):
        with visit(browser, pages["defences"], width=width) as seen:
            assert seen.requests == [pages["defences"].as_uri()]
            assert seen.complaints == []
            table = seen.page.get_by_role("table").first
            assert table.get_by_role("row").count() == 11
            assert table.get_by_role("cell").count() == 30
            assert table.get_by_role("cell", name="2 of 2 charged again").count() == 2
            assert (seen.page.locator(".heat .server").first.is_visible()) is (width == 390)
            red = seen.colour(".heat td.again", "backgroundColor")
            seen.page.emulate_media(media="print")
            assert seen.colour(".heat td.again", "backgroundColor") not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")
            assert red not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")


def test_what_a_customer_typed_does_not_run(browser: Browser, tmp_path: Path) -> None:
    """A key that is a script changes nothing, asks for nothing, and is read as it was typed."""
    folder = charged_twice(tmp_path / "run", attack=ATTACK)
    render_folder(folder)
    for page in (folder / "report.html", render_comparison(tmp_path, [folder])):
        with visit(browser, page) as seen:
            assert seen.page.title().startswith(("invalid", "at-least-once"))
            assert seen.page.locator("img").count() == 0
            assert seen.requests == [page.as_uri()]
            assert seen.complaints == []
            assert "onerror=" in seen.page.inner_text("body")
            assert all(seen.drawn().values())


def test_every_plot_has_a_title_and_its_numbers_as_a_table(browser: Browser, pages: dict[str, Path]) -> None:
    """Whoever cannot see a plot hears what it shows, and can read the numbers."""
    with visit(browser, pages["invalid"]) as seen:
        titles = seen.page.evaluate(
            """() => [...document.querySelectorAll('[data-plot] > svg')].map((svg) =>
                 document.getElementById(svg.getAttribute('aria-labelledby')).textContent.trim())"""
        )
        assert all(len(title) > 10 for title in titles), titles
        assert "Half of all customers" in " ".join(titles)
        assert seen.page.locator("details.table table tbody tr").count() > 20
        assert seen.page.evaluate("() => [...document.querySelectorAll('svg[role=img]')].length") == len(titles)


def test_a_page_can_be_read_with_the_keyboard_alone(browser: Browser, pages: dict[str, Path]) -> None:
    """The first key leads past the navigation, and what is folded unfolds."""
    with visit(browser, pages["invalid"]) as seen:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("() => document.activeElement.textContent") == "Skip to the report"
        summary = seen.page.locator("summary").first
        summary.focus()
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("() => document.activeElement.parentElement.open")


def test_a_page_without_scripts_still_tells_everything(browser: Browser, pages: dict[str, Path]) -> None:
    """Where scripts may not run, headline, tables and witnesses are there, and each plot says why it is not."""
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(pages["invalid"].as_uri())
        text = page.locator("body").text_content() or ""
        assert "customers paid 12.00\u00a0EUR too much" in text  # an amount and its currency stay on one line
        assert "once too often" in text
        assert "The plot needs JavaScript" in text
    finally:
        context.close()
