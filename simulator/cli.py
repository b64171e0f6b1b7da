"""`payonce`: one command for everything. Starts services as processes, never imports them.

In:      the command line and PAYONCE_ variables.
Out:     exit codes of CONTRACT: 0, 1 anomalies, 2 usage, 3 unknown, 4 fenced, 99 threshold, 130 interrupted.
Errors:  whatever is not a bug ends here as one sentence on stderr; a bug keeps its traceback.
Source:  CONTRACT, "The command line".

Commands live in simulator/commands, one file per family, and import what is slow only when they run.
"""

import errno
import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated, cast

import typer

from events.options import InvalidOption, refuse_unknown_environment
from simulator.commands import audit, charge_events, keys, rendering, services
from simulator.commands.bench import bench
from simulator.commands.simulate import compare, demo, simulate
from simulator.commands.up import up
from simulator.failure import Failure

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
# Typer keeps its copy of click private; the class that all usage errors share is above this public one.
UsageError: type[Exception] = cast("type[Exception]", typer.BadParameter.__mro__[1])

# Exceptions whose text was written for people, and their exit codes, by name: their rooms are not imported at start.
SENTENCES = {
    "AccessRefused": EXIT_USAGE,
    "BrokerUnavailable": 1,
    "InvalidConnection": 1,
    "LedgerReadError": 1,
    "LogWatchError": 1,
}

app = typer.Typer(
    name="payonce",
    help="A payment system on a real Kafka, and everything that tries to make it charge somebody twice.\n\n"
    "Example: payonce demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(demo)
app.command()(up)
app.command()(simulate)
app.command()(compare)
app.command()(rendering.report)
app.command()(audit.audit)
app.command()(bench)
app.add_typer(keys.app, name="keys")
app.add_typer(charge_events.app, name="events")
app.command()(services.gateway)
app.command()(services.processor)
app.command()(services.ledger)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"payonce {version('payonce')}")
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """What every command shares: nothing but the version."""


def main() -> None:
    """What the `payonce` script calls."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; every failure that is not a bug becomes a sentence and an exit code."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say becomes our one sentence
    try:
        refuse_unknown_environment(os.environ)
        return int(app(args=arguments, prog_name="payonce", standalone_mode=False) or 0)
    except InvalidOption as error:
        return _say(str(error), EXIT_USAGE)
    except Failure as failure:
        return _say(str(failure), failure.exit_code)
    except UsageError as error:
        return _say(_usage_sentence(error), EXIT_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return _say("Interrupted.", EXIT_INTERRUPTED)
    except OSError as error:
        return _say(_os_sentence(error), 1)
    except Exception as error:
        code = SENTENCES.get(type(error).__name__)
        if code is None:
            raise
        return _say(str(error), code)


def _say(sentence: str, code: int) -> int:
    if sentence:
        typer.echo(sentence, err=True)
    return code


def _usage_sentence(error: Exception) -> str:
    """Typer's message as one sentence, with the help to turn to."""
    format_message = getattr(error, "format_message", None)
    message = str(format_message() if format_message else error).strip()
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "payonce"
    return f"{message.rstrip('.')}; see `{command} --help`." if message else ""


def _os_sentence(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full{':' if where else '.'}{where}"
    return f"The system refused{where}: {error.strerror or error}."


if __name__ == "__main__":
    main()
