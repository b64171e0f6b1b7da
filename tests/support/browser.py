"""A real Chromium, as a reader of a report has one, without a network.

In:      nothing; the Chromium that is installed (Debian: apt-get install chromium).
Out:     `a_browser()`, a context manager; `Visit` of one page, with everything it complained about or asked for.
Errors:  AssertionError, one sentence, where no Chromium is installed: a page that nobody looked at is not tested.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@contextmanager
def a_browser() -> Iterator[Browser]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found, f"install Chromium (Debian: apt-get install chromium); there is none of {', '.join(NAMES)}"
    with sync_playwright() as playwright:
        # Containers' root has no namespaces for the sandbox, and /dev/shm there is small.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """One page as it was opened, and what it did that a report must not do."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def drawn(self) -> dict[str, int]:
        """How many shapes each plot has, in the order of the page."""
        counts: dict[str, int] = self.page.evaluate(
            """() => Object.fromEntries([...document.querySelectorAll('[data-plot]')].map((plot, i) => [
                 `${i} ${plot.dataset.plot}`, plot.querySelectorAll('svg path, svg rect, svg circle').length]))"""
        )
        return counts

    def overflow_px(self) -> int:
        """How far the page can be scrolled sideways."""
        element = "document.documentElement"
        wide: int = self.page.evaluate(f"() => {element}.scrollWidth - {element}.clientWidth")
        return wide

    def colour(self, selector: str, name: str) -> Any:
        return self.page.eval_on_selector(selector, f"(element) => getComputedStyle(element).{name}")


@contextmanager
def visit(
    browser: Browser, file: Path, *, width: int = 1280, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    try:
        seen = Visit(context.new_page())
        seen.page.on("console", lambda message: seen.complaints.append(f"{message.type}: {message.text}"))
        seen.page.on("pageerror", lambda error: seen.complaints.append(f"error: {error}"))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.goto(file.as_uri())
        yield seen
    finally:
        context.close()
