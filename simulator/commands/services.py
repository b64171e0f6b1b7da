"""`payonce gateway|processor|ledger`: become one service, in the foreground, with the same pid.

In:      options; a cluster to talk to, since one service alone has no broker of its own.
Out:     the service's own exit code: it is this process from then on.
"""

import os
import sys

from simulator.commands.options import SERVICE, Given, takes
from simulator.commands.up import stack_options
from simulator.failure import UsageFailure


@takes(*SERVICE, listen="127.0.0.1:8080")
def gateway(given: Given) -> int:
    """Run one gateway in the foreground: HTTP to commands, replies to HTTP.

    Example: payonce gateway --kafka localhost:9092 --api-keys keys.json --listen 0.0.0.0:8080
    """
    return _become("gateway", given)


@takes(*SERVICE)
def processor(given: Given) -> int:
    """Run one processor in the foreground; more of them share the partitions. DIR holds its identity.

    Example: payonce processor --kafka localhost:9092 --dir /var/lib/payonce/processor-1
    """
    return _become("processor", given)


@takes(*SERVICE)
def ledger(given: Given) -> int:
    """Run one ledger in the foreground: charge events to a double-entry ledger in a database.

    Example: payonce ledger --kafka localhost:9092 --ledger-url postgresql+psycopg://payonce@localhost/payonce
    """
    return _become("ledger", given)


def _become(role: str, given: Given) -> int:
    from simulator.stack_options import service_environment  # noqa: PLC0415  not for --help

    if given.kafka in ("embedded", "docker"):
        raise UsageFailure(f"One {role} alone needs --kafka HOST:PORT; `payonce up` starts a broker with it.")
    if role == "gateway" and given.api_keys is None:
        raise UsageFailure("One gateway alone needs --api-keys FILE; `payonce up` makes keys of its own.")
    environment = service_environment(
        stack_options(given),
        kafka=given.kafka,
        directory=given.dir.absolute(),
        listen=given.listen,
        api_keys=given.api_keys,
        ledger_url=given.ledger_url,
    )
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", f"services.{role}"], environment)  # noqa: S606
