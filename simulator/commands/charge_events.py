"""`payonce events tail`: the newest charge events, read committed.

Out:     one line an event, with money; with --json one JSON object a line.
Errors:  Failure, one sentence.
Source:  CONTRACT, "The log", `charges`.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer

from events.instants import rfc3339
from simulator.commands.console import is_read, leave_when_told, reader_may_leave
from simulator.commands.key_life import json_object
from simulator.commands.options import WHERE, Given, takes
from simulator.money_text import money_text

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from simulator.commands.running import Target

app = typer.Typer(help="Look at charge events.\n\nExample: payonce events tail --follow", no_args_is_help=True)


@app.command()
@takes(*WHERE)
def tail(
    given: Given,
    count: Annotated[int, typer.Option("-n", "--count", min=0, help="How many of the newest to show.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
) -> int:
    """Show the newest charge events, one a line, and with --follow those to come.

    Example: payonce events tail -n 20 --follow
    """
    from simulator.commands.running import find_target  # noqa: PLC0415  not for --help

    target = find_target(given)
    leave_when_told()
    with reader_may_leave():
        asyncio.run(_tail(target, count, follow=follow, as_json=given.json))
    return 0


async def _tail(target: "Target", count: int, *, follow: bool, as_json: bool) -> None:
    from events.topics import topic_name  # noqa: PLC0415
    from simulator.commands import log_reading  # noqa: PLC0415

    async with log_reading.reading(target.connection) as consumer:
        for record in await log_reading.read_newest(consumer, topic_name(target.namespace, "charges"), count):
            typer.echo(event_line(record, as_json=as_json))
        if follow:
            async for records in log_reading.follow(consumer):
                for record in records:
                    typer.echo(event_line(record, as_json=as_json))
                if not is_read():
                    return


def event_line(record: "ConsumerRecord", *, as_json: bool) -> str:
    """One charge event: when, what, how much, whose, and where it stands on the log."""
    event = json_object(record.value)
    if as_json:
        return json.dumps({"partition": record.partition, "offset": record.offset, **event})
    try:
        when, money = rfc3339(event["occurred_at"]), money_text(event["amount"], event["currency"])
        which = f"{event['merchant_id']}  {event['charge_id']} #{event['sequence']}"
    except (KeyError, TypeError, ValueError):
        return f"partition {record.partition} offset {record.offset}: not a charge event"
    return f"{when}  {event['type']:<17} {money:>16}  {which}  {record.partition}@{record.offset}"
