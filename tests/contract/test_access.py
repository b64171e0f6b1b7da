"""The whole command line on a cluster that wants TLS and SCRAM; a wrong password or certificate is told and ends it.

Each refusal is one sentence and exit code 2, at once: another try would be refused as well.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from events.connection import connection
from simulator.broker import AccessRefused, ExternalBroker
from simulator.log_hands import move_group_offsets
from simulator.log_watch import LogWatch
from tests.support.brokers import OwnBroker
from tests.support.certificates import make_certificates
from tests.support.scram import ANOTHER_NAME, properties, scram_broker
from tests.support.up import running
from tests.support.wait import wait_until

AT_ONCE_S = 30.0  # bounds a hang on a loaded machine; a broker that is away is waited for a minute
TOLD = {
    "password": "does not let 'alice' in: check sasl.mechanism, sasl.username and sasl.password",
    "authority": "is not trusted (self-signed certificate in certificate chain): name its authority",
    "name": f"is for another name (Hostname mismatch, certificate is not valid for '{ANOTHER_NAME}')",
}
# Every way in, and every way of being refused, though not each of the one with each of the other.
REFUSALS = [
    ("processor", "password"),
    ("processor", "authority"),
    ("processor", "name"),
    ("gateway", "password"),
    ("ledger", "name"),
    ("up", "authority"),
    ("up", "name"),
    ("audit", "password"),
    ("audit", "name"),
    ("keys show k", "authority"),
    ("keys show k", "name"),
    ("events tail", "password"),
]


@dataclass(frozen=True)
class Access:
    """An address and the file of --kafka-security that goes with it."""

    address: str
    file: Path

    @property
    def options(self) -> list[str]:
        return ["--kafka", self.address, "--kafka-security", str(self.file)]


@pytest.fixture(scope="module")
def broker() -> Iterator[OwnBroker]:
    with scram_broker() as made:
        yield made


def access(broker: OwnBroker, folder: Path, mechanism: str = "SCRAM-SHA-512", wrong: str = "") -> Access:
    address = broker.sasl_ssl_bootstrap_servers or ""
    text = properties(broker, mechanism)
    if wrong == "password":
        text = text.replace("alice-secret", "guessed")
    elif wrong == "authority":
        text = text.replace(str(broker.ca_file), str(make_certificates(folder).ca_file))
    elif wrong == "name":
        address = address.replace("127.0.0.1", ANOTHER_NAME)
    file = folder / "client.properties"
    file.write_text(text)
    return Access(address, file)


def payonce(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PAYONCE_")}
    return subprocess.run(
        [sys.executable, "-m", "simulator.cli", *arguments, "--dir", str(directory / "dir")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=AT_ONCE_S,
        check=False,
    )


async def test_the_whole_command_line_over_scram(broker: OwnBroker, tmp_path: Path, namespace: str) -> None:
    """A stack takes a payment; the audit, the key and the events are read, the group watched and rewound."""
    made = access(broker, tmp_path, "SCRAM-SHA-512")
    where = [*made.options, "--namespace", namespace]
    with running(tmp_path / "up", *where, "--partitions", "1") as up:
        charge = up.pay("order-1")
        audit = payonce(tmp_path, "audit", *where, "--guarantee", "exactly-once", "--json")
        assert (audit.returncode, json.loads(audit.stdout)["verdict"]) == (0, "valid"), audit.stderr
        key = payonce(tmp_path, "keys", "show", "order-1", *where, "--json")
        assert json.loads(key.stdout)["charge_id"] == charge["id"], key.stderr
        events = payonce(tmp_path, "events", "tail", *where, "--json")
        assert json.loads(events.stdout)["charge_id"] == charge["id"], events.stderr
        to = connection(made.address, properties(broker, "SCRAM-SHA-256"))
        ExternalBroker(to).start()
        async with LogWatch(to, namespace) as log:
            assert [one.partitions for one in await log.owners()] == [(0,)]
            await move_group_offsets(log, {0: 0})

            async def is_moved() -> bool:
                return await log.group_offsets() == {0: 0}

            # The markers of the transaction that moved them are written after its end was answered.
            await wait_until(is_moved, timeout_s=5, message="the group's offsets did not move")


@pytest.mark.parametrize(("command", "wrong"), REFUSALS)
def test_a_refusal_is_one_sentence(broker: OwnBroker, tmp_path: Path, command: str, wrong: str) -> None:
    """Whichever command it is, it says which of the settings is wrong, and ends with exit code 2."""
    options = access(broker, tmp_path, wrong=wrong).options
    keys = tmp_path / "keys.json"
    keys.write_text('{"shop": "sk_shop"}')
    options += {"gateway": ["--api-keys", str(keys), "--listen", "127.0.0.1:0"]}.get(command, [])
    began = time.monotonic()
    done = payonce(tmp_path, *command.split(), *options)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert sentence(done.stderr).count(TOLD[wrong]) == 1
    assert time.monotonic() - began < AT_ONCE_S


def sentence(said: str) -> str:
    """The one line that says why: alone on stderr but for progress, or the last of a service's log."""
    last = said.splitlines()[-1]
    if last.startswith("{"):
        return str(json.loads(last)["why"])
    assert said.splitlines() in ([last], ["starting", last])
    return last


async def test_the_simulator_is_refused_in_the_same_words(broker: OwnBroker, tmp_path: Path) -> None:
    """Whoever starts a stack on a cluster, or watches one, can tell wrong settings from a cluster that is away."""
    for wrong, told in TOLD.items():
        made = access(broker, tmp_path, wrong=wrong)
        to = connection(made.address, made.file.read_text())
        with pytest.raises(AccessRefused) as refused:
            ExternalBroker(to).start()
        assert told in str(refused.value)
        with pytest.raises(AccessRefused) as refused:
            await LogWatch(to, "payments").__aenter__()
        assert told in str(refused.value)
