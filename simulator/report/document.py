"""One self-contained HTML page: template, styles, scripts and numbers in one file that asks nobody for anything.

In:      a template's name, the numbers of its plots, what the template says.
Out:     HTML.
Source:  Jinja2 with autoescape for every template, undefined names are errors. Numbers are inlined as JSON whose `<`,
         `>`, `&` and `'` are escaped. The page's own Content-Security-Policy lets exactly the scripts below run, by
         their hashes, and forbids every request: what a customer typed could not run even if it got into the page.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from simulator.money_text import money_text
from simulator.report.wording import duration, spaced, unbroken

_ASSETS: Final = files("simulator.report") / "assets"
SCRIPTS: Final = ("d3.min.js", "plot.umd.min.js", "report.js")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("simulator.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"spaced": spaced, "duration": duration, "money": _digits, "unbroken": unbroken}
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}
    return environment


def render(template: str, data: dict[str, Any], *, drawn_by: Sequence[str] = SCRIPTS, **words: Any) -> str:
    """`data` is for the plots, `words` are for the template; a page whose picture is drawn already needs no script."""
    scripts = [_asset(name) for name in drawn_by]
    return (
        _environment()
        .get_template(template)
        .render(
            data=data,
            css=_asset("report.css"),
            scripts=scripts,
            policy=_policy(scripts),
            version=version("payonce"),
            **words,
        )
    )


def picture(template: str, **words: Any) -> str:
    """An SVG of its own, with neither scripts nor numbers inlined."""
    return _environment().get_template(template).render(**words)


def _digits(amount: int, currency: str) -> str:
    """Money in a column that says its currency; a dash for none."""
    return money_text(amount, currency).rpartition(" ")[0] if amount else "–"


@cache
def _asset(name: str) -> Markup:
    """Our own files, as they are: nothing of a run is in them."""
    text = (_ASSETS / name).read_text(encoding="utf-8")
    assert not re.search("</(script|style)", text), f"{name} would end its own element"
    return Markup(text)  # noqa: S704  a file of this package


def _policy(scripts: list[Markup]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    scripts_from = hashes or "'none'"
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {scripts_from}; {rest}"
