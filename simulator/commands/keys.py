"""`payonce keys show`: the life of an idempotency key.

Out:     a table for people, a JSON line per merchant with --json; exit code 1 when there is no such key.
Errors:  Failure, one sentence.
Source:  CONTRACT: GET /v1/idempotency-keys/{key}.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from events.instants import rfc3339
from simulator.commands.console import reader_may_leave
from simulator.commands.options import WHERE, Given, takes
from simulator.failure import Failure, UsageFailure

if TYPE_CHECKING:
    from simulator.commands.running import Target

REQUEST_TIMEOUT_S = 10.0

app = typer.Typer(help="Look at idempotency keys.\n\nExample: payonce keys show order-1234", no_args_is_help=True)


@app.command()
@takes(*WHERE)
def show(
    given: Given,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The idempotency key, without quotes.")],
    merchant: Annotated[str | None, typer.Option(metavar="ID", help="Only this merchant's key.")] = None,
) -> int:
    """Show the life of an idempotency key: of a running stack, or of a cluster (--kafka HOST:PORT).

    Example: payonce keys show order-1234 --merchant merchant_1
    """
    from simulator.commands.running import find_target  # noqa: PLC0415  not for --help

    target = find_target(given)
    lives = asyncio.run(_lives_on_the_log(target, key)) if not target.gateway_urls else _lives(target, key, merchant)
    if merchant is not None:
        lives = {merchant_id: life for merchant_id, life in lives.items() if merchant_id == merchant}
    if not lives:
        raise Failure(f"{merchant or 'No merchant'} has {'no' if merchant else 'a'} key {key!r}.")
    with reader_may_leave():
        for merchant_id, life in lives.items():
            if given.json:
                typer.echo(json.dumps({"merchant_id": merchant_id, **life}))
            else:
                _print_life(merchant_id, life)
    return 0


def _lives(target: "Target", key: str, merchant: str | None) -> dict[str, Any]:
    """Ask the first gateway that answers, once with each merchant's API key."""
    import httpx  # noqa: PLC0415  a quarter of a second, not for --help

    if merchant is not None and merchant not in target.api_keys:
        raise UsageFailure(f"This stack has no merchant {merchant!r}.")
    # Clients resolve `.` and `..` as relative paths, but not where they are escaped.
    path = f"/v1/idempotency-keys/{quote(key, safe='').replace('.', '%2E')}"
    lives = {}
    with httpx.Client(timeout=REQUEST_TIMEOUT_S, trust_env=False) as client:
        for merchant_id, api_key in target.api_keys.items():
            if merchant not in (None, merchant_id):
                continue
            answer = _get(client, target.gateway_urls, path, api_key)
            if answer.status_code == httpx.codes.OK:
                lives[merchant_id] = answer.json()
            elif answer.status_code != httpx.codes.NOT_FOUND:
                raise Failure(f"The gateway answered {answer.status_code}: {answer.text}")
    return lives


def _get(client: Any, gateway_urls: list[str], path: str, api_key: str) -> Any:
    import httpx  # noqa: PLC0415

    for url in gateway_urls:
        try:
            return client.get(url + path, headers={"Authorization": f"Bearer {api_key}"})
        except httpx.TransportError:
            continue
    raise Failure(f"No gateway answers at {', '.join(gateway_urls)}.")


async def _lives_on_the_log(target: "Target", key: str) -> dict[str, Any]:
    """What the log alone says of a key: the newest record under each merchant's name, and the commands."""
    from events.topics import topic_name  # noqa: PLC0415
    from simulator.commands.key_life import lives_from_log  # noqa: PLC0415
    from simulator.commands.log_reading import read_whole, reading  # noqa: PLC0415

    async with reading(target.connection) as consumer:
        keys = await read_whole(consumer, topic_name(target.namespace, "keys"))
        commands = await read_whole(consumer, topic_name(target.namespace, "commands"))
    return lives_from_log(key, keys, commands)


def _print_life(merchant_id: str, life: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=Text(f"{merchant_id}/{life['key']}"), show_header=False, title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")  # a fingerprint with its end cut off is of no use
    for name, value in life.items():
        if name in ("object", "key", "commands"):
            continue
        shown = rfc3339(value) if name.endswith("_at") and value is not None else value
        table.add_row(name.replace("_", " "), Text("" if shown is None else str(shown)))
    for command in life["commands"]:
        place = f"partition {command['partition']} offset {command['offset']}"
        table.add_row("command", Text(f"{place}  {command['command_id']}"))
    Console().print(table)
