"""Kafka's jars: fetched once, verified, and never half."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.broker import BrokerUnavailable, EmbeddedBroker, jars
from simulator.broker.protocol import silent
from tests.support.maven import MavenRepository, maven_repository

CLOSED_PORT = "http://127.0.0.1:9"


@pytest.fixture
def repository(kafka: EmbeddedBroker) -> Iterator[MavenRepository]:
    """A local repository with the jars that the session's broker runs on."""
    folder = jars.ensure(jars.cache_home(), jars.MAVEN_CENTRAL, silent)[0].parent
    with maven_repository(folder) as served:
        yield served


def test_fetches_every_pinned_jar_and_says_so(repository: MavenRepository, tmp_path: Path) -> None:
    """An empty cache is filled with exactly what is pinned, and the person is told."""
    told: list[str] = []
    files = jars.ensure(tmp_path, repository.url, told.append)
    assert [file.name for file in files] == [jar.file_name for jar in jars.pinned()[0]]
    assert all(file.exists() for file in files)
    assert "fetching Kafka, once" in told[0]
    assert [path.name for path in tmp_path.iterdir() if "fetching" in path.name] == []


def test_works_offline_once_cached(repository: MavenRepository, tmp_path: Path) -> None:
    """With a full cache nothing asks the network, and nothing is said."""
    jars.ensure(tmp_path, repository.url, silent)
    told: list[str] = []
    jars.ensure(tmp_path, CLOSED_PORT, told.append)
    assert told == []


def test_two_first_runs_at_once_fetch_once(repository: MavenRepository, tmp_path: Path) -> None:
    """Two processes that start together both end with the jars, each of which was fetched once."""
    program = (
        "import sys, pathlib; from simulator.broker import jars;"
        "print(len(jars.ensure(pathlib.Path(sys.argv[1]), sys.argv[2], lambda _: None)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path), repository.url]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    expected = str(len(jars.pinned()[0]))
    assert [run.communicate(timeout=60)[0].strip() for run in runs] == [expected, expected]
    assert set(repository.asked.values()) == {1}


def test_a_corrupted_jar_is_fetched_again(repository: MavenRepository, tmp_path: Path) -> None:
    """One flipped byte in the cache is noticed; only that jar is fetched, and is sound again."""
    files = jars.ensure(tmp_path, repository.url, silent)
    sound = files[3].read_bytes()
    files[3].write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    repository.asked.clear()
    jars.ensure(tmp_path, repository.url, silent)
    assert files[3].read_bytes() == sound
    assert repository.asked == {files[3].name: 1}


def test_other_bytes_than_pinned_are_refused(repository: MavenRepository, tmp_path: Path) -> None:
    """A repository that serves something else leaves nothing in the cache, and is named."""
    repository.spoil = lambda content: content[:-1] + b"?"
    with pytest.raises(BrokerUnavailable, match=r"served a .*\.jar that is not the one pinned"):
        jars.ensure(tmp_path, repository.url, silent)
    assert list(tmp_path.rglob("*.jar")) == []


def test_a_download_cut_short_leaves_nothing(repository: MavenRepository, tmp_path: Path) -> None:
    """A connection that ends in mid-file is a sentence, not a truncated jar in the cache."""
    repository.announces_more = True
    with pytest.raises(BrokerUnavailable, match="the first run needs the network"):
        jars.ensure(tmp_path, repository.url, silent)
    assert list(tmp_path.rglob("*.jar")) == []


def test_no_network_on_the_first_run(tmp_path: Path) -> None:
    """Without a network and without a cache, one sentence says what to do."""
    broker = EmbeddedBroker(tmp_path / "run", cache=tmp_path / "cache", repository=CLOSED_PORT)
    with pytest.raises(BrokerUnavailable, match=r"not cached yet .* needs the network, or .*--kafka HOST:PORT"):
        broker.start()
    assert "\n" not in str(_raised(broker))
    broker.close()


def _raised(broker: EmbeddedBroker) -> BrokerUnavailable:
    try:
        broker.start()
    except BrokerUnavailable as error:
        return error
    raise AssertionError("it started")


def test_every_pinned_jar_is_of_one_kafka() -> None:
    """No dependency management has slipped another version of Kafka's own jars into the set."""
    kafkas = {each.coordinate for each in jars.pinned()[0] if each.coordinate.startswith("org.apache.kafka:")}
    assert {coordinate.split(":")[2] for coordinate in kafkas} == {"4.3.1"}
