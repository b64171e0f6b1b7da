"""Named bugs: one file each, found by its name, and nothing of it where it is not asked for."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from events.breaks import BREAKS, bugs_named
from events.options import InvalidOption
from services.kafka.memory import MemoryLog
from services.kafka.memory_broker import MemoryBroker
from services.kafka.memory_clock import ManualClock
from services.named_bugs import switched_on
from services.processor.domain.settling import Turn
from services.processor.main import BROKEN
from services.processor.parts import Parts
from services.processor.settings import Settings
from services.processor.store.memory import MemoryStore
from services.processor.terms import Terms
from simulator.cli import app

ROOT = Path(__file__).parents[2]
FILES = {
    path.stem.replace("_", "-"): path
    for service in ("processor", "gateway", "ledger")
    for path in (ROOT / "services" / service / "broken").glob("[a-z]*.py")
}


def parts() -> Parts:
    clock = ManualClock()
    log = MemoryLog(MemoryBroker(clock.now_ms), clock, "payonce-test", None)
    return Parts(log, MemoryStore(), Terms("payments", 1, 1_000), "payments.processor.one")


def test_every_bug_is_a_file_and_every_file_is_a_bug() -> None:
    """A name without a file would switch nothing on, and a file without a name could not be switched on."""
    assert sorted(FILES) == sorted(BREAKS)


@pytest.mark.parametrize("bug", BREAKS)
def test_a_file_says_what_the_mistake_is_and_what_it_leads_to(bug: str) -> None:
    """Its docstring has the name, the mistake, what must happen before it shows, and the anomaly."""
    text = ast.get_docstring(ast.parse(FILES[bug].read_text(encoding="utf-8"))) or ""
    assert text.startswith(f"{bug}: ")
    assert [word for word in ("\nMistake: ", "\nShows:   ", "\nAnomaly: ") if word not in text] == []
    assert text.split("\nAnomaly: ")[1].startswith(BREAKS[bug])


def test_nothing_of_a_bug_is_imported_unless_it_is_asked_for() -> None:
    """A service without a bug has read none of these files."""
    said = "import services.processor.main, services.gateway.main, services.ledger.main, sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = ran.stdout.split()
    assert "services.processor.worker" in loaded
    assert [name for name in loaded if ".broken" in name] == []


def test_a_bug_of_another_service_changes_nothing() -> None:
    """A processor that is told of a ledger's bug stays as it is."""
    before = parts()
    assert switched_on(BROKEN, ["skip-posting", "read-uncommitted"], before) == before


def test_bugs_may_be_switched_on_together() -> None:
    """Each of several bugs about deciding has its part in the one that decides."""
    turn = switched_on(BROKEN, ["no-fingerprint", "lru-keys", "swallow-reply"], parts()).terms.turn
    assert turn is not None
    changed = {
        name for name in ("is_same_request", "remembers", "reply") if getattr(turn, name) is not vars(Turn)[name]
    }
    assert changed == {"is_same_request", "remembers", "reply"}
    assert turn.body_of is Turn.body_of


def test_an_unknown_name_is_refused_with_the_nearest_and_all() -> None:
    """One sentence says which name was near, and every one there is."""
    with pytest.raises(InvalidOption) as refused:
        bugs_named("lru-keys,no-fence")
    sentence = str(refused.value)
    assert sentence.startswith("'no-fence' is not a bug that can be switched on; the nearest is no-fencing")
    assert [bug for bug in BREAKS if bug not in sentence] == []
    assert sentence.count(".") == 1


def test_a_service_refuses_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container was told wrongly is not silently no bug at all."""
    monkeypatch.setenv("PAYONCE_KAFKA", "127.0.0.1:9092")
    monkeypatch.setenv("PAYONCE_BREAK", "lru-keys, swallow-reply")
    loaded: Any = Settings
    assert loaded().breaks == {"lru-keys", "swallow-reply"}
    monkeypatch.setenv("PAYONCE_BREAK", "lru-key")
    with pytest.raises(ValueError, match="the nearest is lru-keys"):
        loaded()


def test_help_names_every_bug() -> None:
    """`payonce up --help` says what can be switched on."""
    root: Any = typer.main.get_command(app)
    (option,) = [one for one in root.commands["up"].params if "--break" in one.opts]
    assert [bug for bug in BREAKS if bug not in option.help] == []
