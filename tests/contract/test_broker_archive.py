"""The archive of classes: made once on the first run, really used, and never the reason why Kafka does not start."""

import subprocess
from pathlib import Path

import pytest

from simulator.broker import EmbeddedBroker, archive, jars, java
from simulator.broker.protocol import silent
from tests.support.maven import maven_repository


def first_run(cache: Path, run: Path) -> list[str]:
    """A broker's start and end on this cache, fetching from a local repository; what the person was told."""
    told: list[str] = []
    with maven_repository(jars.ensure(jars.cache_home(), jars.MAVEN_CENTRAL, silent)[0].parent) as repository:
        broker = EmbeddedBroker(run, cache=cache, repository=repository.url, progress=told.append)
        broker.start()
        assert broker.alive()
        broker.kill()
        broker.close()
    return told


def test_a_first_run_makes_one_and_java_takes_classes_from_it(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """After a first run Kafka's own classes come out of the archive, not out of the jars."""
    assert "preparing Kafka for fast starts, once" in first_run(tmp_path / "cache", tmp_path / "run")
    files = jars.ensure(tmp_path / "cache", jars.MAVEN_CENTRAL, silent)
    flags = [*archive.flags(files), "-Xlog:class+load:stdout"]
    command = java.command("kafka.Kafka", [], jars=files, profile="quick", flags=flags)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "kafka.Kafka source: shared objects file" in done.stdout


def test_one_that_cannot_be_made_is_done_without(
    kafka: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When making it fails, Kafka starts all the same, the reason is kept, and the next start does not try again."""
    monkeypatch.setattr(archive, "_LESSON_TIMEOUT_S", 0.01)
    first_run(tmp_path / "cache", tmp_path / "run")
    files = jars.ensure(tmp_path / "cache", jars.MAVEN_CENTRAL, silent)
    assert archive.flags(files) == ()
    assert not archive.is_missing(files)
    (reason,) = (tmp_path / "cache").glob("*.failed")
    assert "timed out" in reason.read_text()
    assert list((tmp_path / "cache").glob("archiving-*")) == []
