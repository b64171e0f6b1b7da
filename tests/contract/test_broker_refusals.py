"""What stops a broker from starting is told in one sentence that says what to do."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.broker import BrokerUnavailable, EmbeddedBroker, jars, java
from simulator.broker.ports import HOST
from simulator.broker.protocol import silent
from tests.support.maven import maven_repository

SMALL_DISK_KB = 4096
# A mount in a namespace of its own: the rest of the machine does not see it, and it is gone with its process.
ON_A_SMALL_DISK = (
    'mount -t tmpfs -o size={size_kb}k tmpfs {disk} && head -c {filler_kb}K /dev/zero > {disk}/filler; exec "$@"'
)
START = """
import pathlib, sys
from simulator.broker import BrokerUnavailable, EmbeddedBroker
run, cache, repository = sys.argv[1:]
try:
    EmbeddedBroker(pathlib.Path(run), cache=pathlib.Path(cache), repository=repository).start()
except BrokerUnavailable as error:
    print(error)
"""


def refusal(broker: EmbeddedBroker) -> str:
    """The sentence with which it does not start, which is one line."""
    with pytest.raises(BrokerUnavailable) as caught:
        broker.start()
    broker.close()
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_taken_port(tmp_path: Path) -> None:
    """Another program that listens on the broker's port is named by its port."""
    broker = EmbeddedBroker(tmp_path)
    port = int(broker.bootstrap_servers.split(":")[1])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((HOST, port))
        other.listen()
        sentence = refusal(broker)
    assert "Another program listens on a port of the broker" in sentence
    assert str(port) in sentence
    assert "broker.log" in sentence


def test_a_folder_in_use(tmp_path: Path) -> None:
    """Two brokers never share a folder, and the second says so."""
    first = EmbeddedBroker(tmp_path)
    first.start()
    sentence = refusal(EmbeddedBroker(tmp_path))
    first.kill()
    first.close()
    assert f"Another broker runs on {tmp_path}" in sentence


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file in the place of the folder is told as such."""
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal(EmbeddedBroker(tmp_path / "file" / "broker"))


def test_java_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that has gone missing is named, with the way to get it back."""
    monkeypatch.setattr(java, "JAVA", tmp_path / "java")
    sentence = refusal(EmbeddedBroker(tmp_path / "broker"))
    assert str(tmp_path / "java") in sentence
    assert "make setup" in sentence


def test_java_that_was_never_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without Java, as in the container image, says so before it downloads anything for it."""
    monkeypatch.setattr(java, "JAVA", None)
    assert "no Java for an embedded broker" in refusal(EmbeddedBroker(tmp_path / "broker"))


def test_not_enough_memory(tmp_path: Path) -> None:
    """A machine too small for Java is told as such."""
    broker = EmbeddedBroker(tmp_path, jvm_flags=["-Xms900g", "-Xmx900g"])
    assert "Not enough memory for Kafka" in refusal(broker)


def test_java_that_cannot_start(tmp_path: Path) -> None:
    """A virtual machine that gives up says why in its own words, on the same line."""
    broker = EmbeddedBroker(tmp_path, jvm_flags=["-XX:+NoSuchFlag"])
    sentence = refusal(broker)
    assert "Kafka did not start (exit code 1: Unrecognized VM option 'NoSuchFlag'" in sentence
    assert str(broker.log_path) in sentence


def test_a_setting_kafka_refuses(tmp_path: Path) -> None:
    """A wrong setting ends in Kafka's own reason, not in its stack trace."""
    sentence = refusal(EmbeddedBroker(tmp_path, extra_settings={"num.io.threads": "none"}))
    assert "num.io.threads" in sentence


@pytest.mark.parametrize(
    ("on_the_disk", "free_kb", "told"),
    [("cache", 3000, "The disk is full: Kafka's jars need"), ("run", 28, "The disk of"), ("run", 0, "The disk of")],
    ids=["a first run's cache", "the broker's data", "not one byte left"],
)
def test_a_full_disk(on_the_disk: str, free_kb: int, told: str, kafka: EmbeddedBroker, tmp_path: Path) -> None:
    """A disk that fills up, under the data or under the cache, is told as a full disk."""
    disk, elsewhere = tmp_path / "disk", tmp_path / "elsewhere"
    disk.mkdir()
    folders = {"run": elsewhere, "cache": jars.cache_home(), on_the_disk: disk / "deep"}
    with maven_repository(jars.ensure(jars.cache_home(), jars.MAVEN_CENTRAL, silent)[0].parent) as repository:
        start = [sys.executable, "-c", START, str(folders["run"]), str(folders["cache"]), repository.url]
        script = ON_A_SMALL_DISK.format(disk=disk, size_kb=SMALL_DISK_KB, filler_kb=SMALL_DISK_KB - free_kb)
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *start]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told in done.stdout, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.count("\n") == 1


def test_a_dead_broker_cannot_be_paused(tmp_path: Path) -> None:
    """A fault that has nobody to hit says so."""
    broker = EmbeddedBroker(tmp_path)
    with pytest.raises(BrokerUnavailable, match="is not running; start it first"):
        broker.pause()
    broker.close()
