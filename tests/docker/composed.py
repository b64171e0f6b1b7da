"""docker-compose.yml, brought up as a user would, under a name and on ports of the test's own.

In:      a Docker engine with Compose v2, the images that docker-compose.yml names or can pull.
Out:     the stack by its Compose commands; an HTTP client of its gateway.
Units:   _s are seconds.
Errors:  AssertionError with what Compose said, and the services' last lines where it did not come up.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from simulator.broker.ports import ReservedPorts
from tests.support.wait import wait_until_sync

ROOT = Path(__file__).parents[2]
API_KEYS: dict[str, str] = json.loads((ROOT / "docker" / "api-keys.json").read_text())
UP_WITHIN_S = 600  # the first time builds the image


class Composed:
    def __init__(self, project: str, environment: dict[str, str]) -> None:
        self.project = project
        self._environment = os.environ | environment
        self.http = httpx.Client(timeout=30, trust_env=False)

    def run(self, *arguments: str, timeout_s: float = UP_WITHIN_S, may_fail: bool = False) -> str:
        """`docker compose ARGUMENTS`, and what it printed."""
        return self._docker("compose", "-p", self.project, *arguments, timeout_s=timeout_s, may_fail=may_fail)

    def docker(self, *arguments: str) -> str:
        return self._docker(*arguments, timeout_s=60, may_fail=False)

    def up(self, *arguments: str) -> None:
        try:
            self.run("up", "-d", "--wait", *arguments)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.run('ps', '-a')}\n{self.run('logs', '--tail', '30')}") from None

    def containers(self, service: str) -> list[str]:
        """The ids of a service's running containers."""
        return self.run("ps", "-q", service).split()

    def healthy(self, container: str) -> bool:
        return self.docker("inspect", "-f", "{{.State.Health.Status}}", container).strip() == "healthy"

    def wait_healthy(self, container: str) -> None:
        wait_until_sync(lambda: self.healthy(container), timeout_s=90, message=f"container {container} is not healthy")

    # -- over HTTP -----------------------------------------------------------------------------------------

    def locate(self) -> None:
        """Find out which port of this machine is the gateway's."""
        self.http.base_url = httpx.URL("http://" + self.run("port", "gateway", "8080").strip())

    def get(self, merchant: str, path: str) -> Any:
        answer = self.http.get(path, headers={"Authorization": f"Bearer {API_KEYS[merchant]}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post_charge(self, merchant: str, key: str, amount: int) -> httpx.Response:
        """One attempt."""
        return self.http.post(
            "/v1/charges",
            headers={"Authorization": f"Bearer {API_KEYS[merchant]}", "Idempotency-Key": key},
            json={"amount": amount, "currency": "eur", "payment_method": "pm_card_visa"},
        )

    def pay(self, merchant: str, key: str, amount: int) -> httpx.Response:
        """As a patient customer pays: again with the same key, until there is an answer that is final."""
        last: list[str] = ["nothing"]

        def answered() -> httpx.Response | None:
            try:
                answer = self.post_charge(merchant, key, amount)
            except httpx.TransportError as error:
                last[0] = repr(error)
                return None
            last[0] = f"{answer.status_code} {answer.text}"
            return answer if answer.status_code not in (503, 504) else None

        answer = wait_until_sync(answered, timeout_s=90, message=lambda: f"{key} is not answered; last: {last[0]}")
        assert answer is not None
        return answer

    def _docker(self, *arguments: str, timeout_s: float, may_fail: bool) -> str:
        done = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert may_fail or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def composed() -> Iterator[Composed]:
    """The whole stack, healthy; afterwards nothing of it is left, volumes included."""
    ports = ReservedPorts(3)
    numbers = ports.numbers
    ports.release()  # the engine takes them
    environment = {f"KAFKA_{number}_PORT": str(port) for number, port in enumerate(numbers, start=1)}
    stack = Composed(f"payonce-test-{os.getpid()}", environment | {"GATEWAY_PORT": "0"})
    try:
        stack.up("--build")
        stack.locate()
        yield stack
    finally:
        stack.http.close()
        stack.run("down", "--volumes", "--remove-orphans", "--timeout", "10")
