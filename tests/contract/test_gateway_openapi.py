"""The OpenAPI document is true: what it allows is taken, what it forbids is refused, nothing is a 5xx."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from events.openapi import document
from services.gateway.routes import ROUTES
from simulator.broker.embedded import EmbeddedBroker
from tests.support.gateway_world import World, world

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = 15  # of each kind for each call: about half a minute on two cores


@pytest.fixture(scope="module")
def described(kafka: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(kafka, "gateway-openapi", tmp_path_factory.mktemp("openapi")) as made:
        yield made


def test_the_gateway_serves_the_document_of_the_models(described: World) -> None:
    """Built from events, not written by hand; every route is in it and nothing else."""
    served = httpx.get(described.url + "/openapi.json").json()
    assert served == document()
    named = {operation["operationId"] for path in served["paths"].values() for operation in path.values()}
    assert named == {route.name for route in ROUTES}


def test_schemathesis_finds_nothing(described: World) -> None:
    """A fixed seed's worth of valid, invalid and chained requests: every status, header and body as documented."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", described.url + "/openapi.json"]
    options = ["-H", "Authorization: Bearer sk_acme", "--seed", "1", "--max-examples", str(EXAMPLES), "--no-color"]
    finished = subprocess.run(
        [*command, *options, "--generation-database", "none"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-6000:] + finished.stderr[-2000:]
    assert "12 selected" in finished.stdout
    assert not described.gateways[0].logged("request_failed")
