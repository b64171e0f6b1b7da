"""The gateway as a process: how it starts, what it refuses, how it stops, what it says while Kafka is away."""

import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from events.topics import topic_name
from simulator.broker.embedded import EmbeddedBroker
from tests.support.brokers import own_broker
from tests.support.gateway_world import API_KEYS, VALID, World, assert_problem, connect, world
from tests.support.services import ServiceProcess, service
from tests.support.wait import wait_until_sync


def closed_port() -> str:
    """An address where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(API_KEYS))
    return {"PAYONCE_KAFKA": closed_port(), "PAYONCE_API_KEYS": str(keys), "PAYONCE_LISTEN": "127.0.0.1:0"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"PAYONCE_ENFORCMENT": "strict"},
        {"PAYONCE_API_KEYS": "/nowhere/keys.json"},
        {"PAYONCE_ENFORCEMENT": "lax"},
        {"PAYONCE_KAFKA_SECURITY": "/nowhere/client.properties"},
    ],
)
def test_settings_that_cannot_be_meant_are_a_usage_error(
    wrong: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    """Exit code 2 and one sentence, no traceback."""
    with service("gateway", tmp_path / "gateway", environment | wrong, ready=False) as gateway:
        assert gateway.wait_exit() == 2
        assert len(gateway.logged("gateway_refused")) == 1
        assert "Traceback" not in gateway.log()


def test_a_taken_port_is_one_sentence(environment: dict[str, str], tmp_path: Path) -> None:
    """Exit code 2, naming the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        taken = environment | {"PAYONCE_LISTEN": address}
        with service("gateway", tmp_path / "gateway", taken, ready=False) as gateway:
            assert gateway.wait_exit() == 2
            assert address in gateway.logged("gateway_refused")[0]["why"]


def test_before_kafka_is_there_it_serves_503_and_stops_cleanly(environment: dict[str, str], tmp_path: Path) -> None:
    """It listens at once, is alive but not ready, sends nothing, and SIGTERM ends it with 0."""
    address = closed_port()
    waiting = environment | {"PAYONCE_LISTEN": address}
    with service("gateway", tmp_path / "gateway", waiting, ready=False) as gateway:
        url = f"http://{address}"
        wait_until_sync(lambda: answers(url), timeout_s=30, message="the gateway never listened")
        assert_problem(httpx.get(url + "/readyz"), 503, "unavailable")
        headers = {"authorization": "Bearer sk_acme", "idempotency-key": "k"}
        response = httpx.post(url + "/v1/charges", json=VALID, headers=headers)
        assert_problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "1"
        assert_problem(httpx.get(url + "/v1/charges", headers=headers), 503, "unavailable")
        assert_problem(httpx.get(url + "/v1/charges?limit=0", headers=headers), 503, "unavailable")
        assert gateway.stop() == 0


def answers(url: str) -> bool:
    try:
        return httpx.get(url + "/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_another_number_of_partitions_is_refused(kafka: EmbeddedBroker, namespace: str, tmp_path: Path) -> None:
    """Exit code 2, so that nobody starts it again, and one sentence."""
    with world(kafka, namespace, tmp_path, with_services=False) as made:
        wrong = made.environment | {"PAYONCE_PARTITIONS": "3"}
        with service("gateway", tmp_path / "wrong", wrong, ready=False) as gateway:
            assert gateway.wait_exit() == 2
            assert topic_name(namespace, "commands").partition(".")[0] in gateway.logged("gateway_refused")[0]["why"]


def ask(made: World, key: str, gateway: int = 0) -> httpx.Response:
    with made.client(gateway=gateway) as client:
        return client.post("/v1/charges", json=VALID, headers={"idempotency-key": key})


def test_a_stop_answers_what_is_in_flight(kafka: EmbeddedBroker, namespace: str, tmp_path: Path) -> None:
    """After SIGTERM nothing new is accepted, who waits is told 504 within seconds, and the exit code is 0."""
    with world(kafka, namespace, tmp_path, with_services=False) as made, ThreadPoolExecutor(3) as pool:
        idle = connect(made.url)
        asking = [pool.submit(ask, made, f"k{number}") for number in range(3)]
        wait_until_sync(lambda: made.commands_on_log() == 3, timeout_s=10, message="the commands never came")
        stopped_at = time.monotonic()
        made.gateways[0].process.terminate()
        for answer in asking:
            assert_problem(answer.result(), 504, "answer_timeout")
        assert made.gateways[0].wait_exit() == 0
        assert time.monotonic() - stopped_at < 9
        assert idle.recv(10) == b""
        idle.close()
        assert "Traceback" not in made.gateways[0].log()


def test_a_broker_that_is_away_is_bounded_and_comes_back(tmp_path: Path, namespace: str) -> None:
    """Without a broker: 503 or 504, never a lie, never for ever; with it back the same keys are one charge each."""
    with own_broker() as broker, world(broker, namespace, tmp_path, {"PAYONCE_ANSWER_TIMEOUT": "4s"}) as made:
        assert ask(made, "before").status_code == 201
        broker.kill()
        started_at = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            away = list(pool.map(lambda number: ask(made, f"away-{number}"), range(4)))
        assert time.monotonic() - started_at < 8
        assert {answer.status_code for answer in away} <= {503, 504}
        assert all(answer.headers["retry-after"] == "1" for answer in away)
        with made.client() as client:
            assert client.get("/v1/balance").status_code == 503
        broker.start()
        for number in range(4):
            final = wait_until_sync(
                lambda number=number: answered(made, f"away-{number}"),
                timeout_s=60,
                message="no answer after the broker came back",
            )
            assert final.status_code == 201
        with made.client() as client:
            for number in range(4):
                assert client.get(f"/v1/idempotency-keys/away-{number}").json()["executions"] == 1


def answered(made: World, key: str) -> httpx.Response | None:
    response = ask(made, key)
    return response if response.status_code < 500 else None


def test_a_killed_gateway_leaves_one_charge_per_key(kafka: EmbeddedBroker, namespace: str, tmp_path: Path) -> None:
    """50 posts with one key over two gateways, one killed meanwhile: one charge, every answer the same bytes."""
    with world(kafka, namespace, tmp_path, {}, {}) as made:
        begun = threading.Barrier(51)

        def insist(number: int) -> httpx.Response:
            begun.wait()
            try:
                return ask(made, "one", number % 2)
            except httpx.TransportError:
                return ask(made, "one", 0)

        with ThreadPoolExecutor(50) as pool:
            asking = [pool.submit(insist, number) for number in range(50)]
            begun.wait()
            made.gateways[1].kill()
            bodies = {(answer.result().status_code, answer.result().content) for answer in asking}
        assert len(bodies) == 1
        assert bodies.pop()[0] == 201
        with made.client() as client:
            assert client.get("/v1/idempotency-keys/one").json()["executions"] == 1
            assert len(client.get("/v1/charges").json()["data"]) == 1


def test_a_stopped_processor_is_a_504_and_the_retry_finds_the_outcome(
    kafka: EmbeddedBroker, namespace: str, tmp_path: Path
) -> None:
    """The command stays on the log; when the processor goes on, the same key has its one answer."""
    with world(kafka, namespace, tmp_path, {"PAYONCE_ANSWER_TIMEOUT": "500ms"}, with_services=False) as made:
        assert_problem(ask(made, "late"), 504, "answer_timeout")
        with service("processor", tmp_path / "processor", made.environment):
            final = wait_until_sync(
                lambda: answered(made, "late"), timeout_s=30, message="the processor never answered"
            )
        assert (final.status_code, final.headers.get("idempotent-replayed")) == (201, "true")


def test_a_gateway_is_ready_soon(kafka: EmbeddedBroker, namespace: str, tmp_path: Path) -> None:
    """Well within the six seconds that a whole stack may take, measured in its own processor time."""
    with world(kafka, namespace, tmp_path, with_services=False) as made:
        used_s = cpu_seconds(made.gateways[0])
        assert used_s < 4
        os.kill(made.gateways[0].pid, signal.SIGINT)
        assert made.gateways[0].wait_exit() == 0


def cpu_seconds(process: ServiceProcess) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
