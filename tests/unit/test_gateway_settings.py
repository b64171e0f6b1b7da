"""The gateway's settings: what the environment may say, and what is refused in one sentence."""

import pytest
from pydantic import ValidationError

from events.enforcement import key_required
from events.options import InvalidOption
from services.gateway.settings import Settings

NEEDED = {"PAYONCE_KAFKA": "127.0.0.1:9092", "PAYONCE_API_KEYS": "keys.json"}


def settings(monkeypatch: pytest.MonkeyPatch, **given: str) -> Settings:
    for name, value in {
        **NEEDED,
        **{f"PAYONCE_{name.upper()}": value for name, value in given.items()},
    }.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_defaults_are_the_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strict enforcement, waiting duplicates, 20 s."""
    ours = settings(monkeypatch)
    assert (ours.namespace, ours.in_flight, ours.answer_timeout) == ("payments", "wait", 20_000)
    assert all(ours.enforcement.values())


def test_everything_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option in its own notation."""
    ours = settings(
        monkeypatch,
        listen="[::1]:0",
        enforcement="optional,charge.create=strict",
        in_flight="conflict",
        answer_timeout="1500ms",
        partitions="7",
    )
    assert ours.listen == ("::1", 0)
    assert [operation for operation, required in ours.enforcement.items() if required] == ["charge.create"]
    assert (ours.in_flight, ours.answer_timeout, ours.partitions) == ("conflict", 1500, 7)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enforcement", "maybe"),
        ("enforcement", "strict,charge.create"),
        ("enforcement", "strict,charge.steal=optional"),
        ("answer_timeout", "20"),
        ("answer_timeout", "0s"),
        ("listen", "8080"),
        ("partitions", "0"),
        ("ledger_url", "ledger.db"),
        ("ledger_url", "mysql://x/y"),
        ("in_flight", "queue"),
        ("namespace", "a b"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing falls back to a default."""
    with pytest.raises((ValidationError, InvalidOption)):
        settings(monkeypatch, **{name: value})


def test_enforcement_is_per_operation() -> None:
    """Exceptions follow the default."""
    assert key_required("strict,refund.create=optional")["refund.create"] is False
    assert key_required("optional") == dict.fromkeys(key_required("optional"), False)
