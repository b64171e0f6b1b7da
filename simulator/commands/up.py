"""`payonce up`: run a stack until Ctrl-C or SIGTERM, and say what dies meanwhile.

Out:     one line beginning `ready` on stdout; deaths and restarts on stderr; DIR/stack.json.
Errors:  exit code 0 after SIGTERM, 130 after Ctrl-C, the failure's when a process stays down.
Source:  CONTRACT, "Exit codes". A second Ctrl-C waits for nothing: the kernel kills the children with us.
"""

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import typer

from simulator.commands.console import Teller
from simulator.commands.options import STACK, Given, takes

if TYPE_CHECKING:
    from simulator.stack import Stack
    from simulator.stack_options import StackOptions

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 0, signal.SIGHUP: 0}


@takes(*STACK, "json")
def up(given: Given) -> int:
    """Run the stack until Ctrl-C and restart what dies; prints one line beginning `ready`.

    Addresses, API keys and pids are in DIR/stack.json, true at every moment; with --json they follow `ready`.
    Exit code 0 after SIGTERM, 130 after Ctrl-C.

    Example: payonce up --gateways 2 --processors 2
    """
    return asyncio.run(_run(given))


def stack_options(given: Given) -> "StackOptions":
    """The part of the options that a stack is made of."""
    from simulator.stack_options import StackOptions  # noqa: PLC0415  not for --help

    return StackOptions(
        dir=given.dir,
        kafka=given.kafka,
        kafka_security=given.kafka_security,
        namespace=given.namespace,
        guarantee=given.guarantee,
        partitions=given.partitions,
        processors=given.processors,
        gateways=given.gateways,
        merchants=given.merchants,
        api_keys=given.api_keys,
        listen=given.listen,
        ledger_url=given.ledger_url,
        key_ttl=given.key_ttl,
        enforcement=given.enforcement,
        in_flight=given.in_flight,
        answer_timeout=given.answer_timeout,
        breaks=given.breaks,
    )


async def _run(given: Given) -> int:
    from simulator.stack import Stack  # noqa: PLC0415  not for --help

    asked_to_stop = _stop_requests()
    with Teller() as tell:
        tell.progress("starting")
        stack = Stack(stack_options(given), tell.progress, tell.line)
        starting = asyncio.create_task(stack.start())
        await _first_of(starting, asked_to_stop)
        if not starting.done():
            starting.cancel()
            tell.progress("stopping")
            await asyncio.wait({starting})
            return asked_to_stop.result()
        await starting
        tell.quiet()
        typer.echo(_ready_line(stack, given))
        return await _run_until_stopped(stack, asked_to_stop, tell)


async def _run_until_stopped(stack: "Stack", asked_to_stop: "asyncio.Future[int]", tell: Teller) -> int:
    giving_up = asyncio.create_task(stack.gave_up())
    try:
        await _first_of(giving_up, asked_to_stop)
        if giving_up.done():
            raise giving_up.result()
        return asked_to_stop.result()
    finally:
        giving_up.cancel()
        tell.progress("stopping")
        await stack.stop()


async def _first_of(*futures: "asyncio.Future[Any]") -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _stop_requests() -> "asyncio.Future[int]":
    """Resolves to the exit code when somebody asks us to stop; asked again, we go at once."""
    loop = asyncio.get_running_loop()
    asked: asyncio.Future[int] = loop.create_future()

    def ask(code: int) -> None:
        if asked.done():
            os._exit(code)
        asked.set_result(code)

    for number, code in EXIT_CODES.items():
        loop.add_signal_handler(number, ask, code)
    return asked


def _ready_line(stack: "Stack", given: Given) -> str:
    if given.json:
        return f"ready {json.dumps(stack.description())}"
    return (
        f"ready {' '.join(stack.gateway_urls)} kafka {stack.bootstrap_servers} "
        f"namespace {stack.namespace} {stack.guarantee} ({stack.dir / 'stack.json'})"
    )
