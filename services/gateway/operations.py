"""The gateway's own pages: is it alive, is it ready, what has it counted, what can it be asked.

Out:     `/healthz`, `/readyz`, `/metrics`, `/openapi.json`, and `/docs`, one page that loads nothing.
Source:  CONTRACT, "HTTP". The document is built from the models when first asked for, not at start.
"""

from collections.abc import Callable
from functools import cache
from html import escape
from typing import Any

import orjson

from services.gateway import metrics
from services.gateway.answers import RETRY_AFTER, Answer, Problem

_HTML = b"text/html; charset=utf-8"
# Nothing is loaded, nothing runs: the page's own style is all that is allowed.
_POLICY = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'")

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{font:14px ui-monospace,monospace}h2{border-top:1px solid #8884;padding-top:1rem}"
    "table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}"
)


class Operations:
    def __init__(self, counted: metrics.Metrics, unready: Callable[[], str | None]) -> None:
        """`unready` says in one sentence why this gateway cannot serve, None when it can."""
        self._counted = counted
        self._unready = unready
        self._calls: dict[str, Callable[[], Answer]] = {
            "healthz": lambda: Answer(200, b'{"status":"ok"}'),
            "readyz": self._ready,
            "metrics": lambda: Answer(200, counted.text(), metrics.CONTENT_TYPE),
            "docs": lambda: Answer(200, _page(), _HTML, (_POLICY,)),
            "openapi": lambda: Answer(200, _document()),
        }

    def answer(self, name: str) -> Answer:
        return self._calls[name]()

    def _ready(self) -> Answer:
        reason = self._unready()
        if reason is not None:
            raise Problem("unavailable", reason, RETRY_AFTER)
        return Answer(200, b'{"status":"ready"}')


@cache
def _document() -> bytes:
    from events.openapi import document  # noqa: PLC0415  builds every model's schema: not a cost of starting

    return orjson.dumps(document())


@cache
def _page() -> bytes:
    document: dict[str, Any] = orjson.loads(_document())
    sections = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(info['title'])}</h1><p>{escape(info['description'])}</p>"
        f'<p>Everything below is in <a href="/openapi.json">/openapi.json</a>, with the schemas.</p>'
        f"{''.join(sections)}</html>"
    ).encode()


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{escape(each['in'])}"
        f"<td>{'required' if each.get('required') else 'optional'}<td>{escape(each.get('description', ''))}"
        for each in operation.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code><td>{escape(answer['description'])}"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"<table>{parameters}</table><table>{answers}</table>"
    )
