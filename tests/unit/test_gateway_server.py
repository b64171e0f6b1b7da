"""What the HTTP parser would not read: a strange method is told from nonsense, whatever length it has."""

import subprocess
import sys
import time

import pytest

from services.gateway.server import _path_of_strange_method


@pytest.mark.parametrize(
    ("received", "path"),
    [
        (b"BREW /v1/charges?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", b"/v1/charges"),
        (b'{"end": "of a body"}BREW /v1/charges HTTP/1.1\r\n', b"/v1/charges"),
        (b"GET /v1/charges HTTP/1.1\r\nno colon", None),
        (b"BREW v1 HTTP/1.1\r\n", None),
        (b"", None),
    ],
)
def test_only_the_method_may_be_strange(received: bytes, path: bytes | None) -> None:
    """A request whose method is known has another fault, and that is a 400."""
    assert _path_of_strange_method(received) == path


@pytest.mark.parametrize("received", [b"x" * 400_000, b"GET /" + b"x" * 400_000, b"a b" * 100_000, b" /" * 200_000])
def test_nonsense_takes_no_time(received: bytes) -> None:
    """Looking is linear in what was received: a long line must not hold up everybody else."""
    began = time.perf_counter()
    assert _path_of_strange_method(received) is None
    assert time.perf_counter() - began < 2.0


def test_a_gateway_takes_as_many_connections_as_the_kernel_allows() -> None:
    """A soft limit of 64 open files is raised to the hard one."""
    asked = (
        "import resource; from services.gateway.server import allow_connections;"
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard)); allow_connections();"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)"
    )
    subprocess.run([sys.executable, "-c", asked], check=True, timeout=60)
