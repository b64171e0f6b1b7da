"""A stack on somebody else's Kafka: only the services are ours; what cannot be started is one sentence."""

import json
from pathlib import Path

import httpx
import pytest

from simulator.broker.embedded import EmbeddedBroker
from simulator.broker.errors import BrokerUnavailable
from simulator.failure import Failure, UsageFailure
from simulator.stack import Stack
from simulator.stack_files import HeldPort, is_stack_running, read_stack
from simulator.stack_options import StackOptions


def options(directory: Path, kafka: EmbeddedBroker, namespace: str, **more: object) -> StackOptions:
    return StackOptions(dir=directory, kafka=kafka.bootstrap_servers, namespace=namespace, **more)  # type: ignore[arg-type]


async def test_a_stack_on_somebody_elses_kafka_serves(tmp_path: Path, kafka: EmbeddedBroker, namespace: str) -> None:
    """It takes a payment, lists no broker among its processes, and leaves no stack.json behind."""
    api_keys = tmp_path / "keys.json"
    api_keys.write_text(json.dumps({"shop": "sk_shop"}))
    async with Stack(options(tmp_path / "stack", kafka, namespace, api_keys=api_keys)) as stack:
        assert {process.role for process in stack.processes()} == {"gateway", "processor", "ledger"}
        assert stack.api_keys == {"shop": "sk_shop"}
        assert read_stack(tmp_path / "stack") == stack.description()
        assert is_stack_running(tmp_path / "stack")
        async with httpx.AsyncClient(base_url=stack.gateway_url) as client:
            answer = await client.post(
                "/v1/charges",
                json={"amount": 100, "currency": "eur", "payment_method": "pm_card_visa"},
                headers={"Authorization": "Bearer sk_shop", "Idempotency-Key": "k"},
                timeout=30,
            )
        assert answer.status_code == 201, answer.text
    assert not (tmp_path / "stack" / "stack.json").exists()
    assert not is_stack_running(tmp_path / "stack")


async def test_what_a_service_refuses_is_told_in_its_own_words(
    tmp_path: Path, kafka: EmbeddedBroker, namespace: str
) -> None:
    """A value that only the service can judge ends the start with its sentence and exit code 2."""
    with pytest.raises(Failure, match="neither strict nor optional") as failure:
        await Stack(options(tmp_path, kafka, namespace, enforcement="sometimes")).start()
    assert failure.value.exit_code == 2
    assert str(failure.value).startswith("gateway 0 refused to start: ")
    assert "_refused" not in str(failure.value)


async def test_nobody_at_the_address_is_one_sentence(tmp_path: Path) -> None:
    """A cluster that does not answer is named, and the directory is free again at once."""
    held = HeldPort("127.0.0.1")
    stack = Stack(StackOptions(dir=tmp_path, kafka=f"127.0.0.1:{held.port}"))
    with pytest.raises(BrokerUnavailable, match=f"127.0.0.1:{held.port}"):
        await stack.start()
    assert not is_stack_running(tmp_path)
    held.close()


async def test_a_taken_port_is_one_sentence(tmp_path: Path, kafka: EmbeddedBroker, namespace: str) -> None:
    """A gateway's port that somebody listens on is refused before anything serves."""
    taken = kafka.bootstrap_servers
    with pytest.raises(Failure, match=f"Cannot listen on {taken}: Address already in use"):
        await Stack(options(tmp_path, kafka, namespace, listen=taken)).start()


async def test_security_settings_without_a_cluster_are_refused(tmp_path: Path) -> None:
    """Our own broker has no TLS listener to use them on: better said than ignored."""
    security = tmp_path / "client.properties"
    security.write_text("security.protocol=SSL\n")
    with pytest.raises(UsageFailure, match="--kafka HOST:PORT"):
        await Stack(StackOptions(dir=tmp_path, kafka_security=security)).start()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "must be a JSON object"),
        ("{}", "must be a JSON object"),
        ("{", "cannot be read"),
        ('{"Shop": "a"}', "bad entry for 'Shop'"),
        ('{"shop": ""}', "bad entry for 'shop'"),
        ('{"a": "same", "b": "same"}', "one key to two merchants"),
    ],
)
async def test_a_file_of_keys_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """One sentence with the file's name, exit code 2."""
    api_keys = tmp_path / "keys.json"
    api_keys.write_text(text)
    with pytest.raises(UsageFailure, match=words) as failure:
        await Stack(StackOptions(dir=tmp_path, api_keys=api_keys)).start()
    assert str(api_keys) in str(failure.value)
