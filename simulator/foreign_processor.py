"""Somebody's own processor in place of ours: any program that reads and writes the topics of CONTRACT.

In:      a command line; the stack starts it as often as it has processors, each with the PAYONCE_ variables of ours and
         CLIENT_ID.
Out:     its arguments; the name by which the group's members tell which process they are.
Units:   seconds.
Errors:  UsageFailure for a command that cannot be run; Failure, one sentence, when it does not join its group.
Source:  CONTRACT, "The log": its group is `<namespace>.processor`. Nothing else is asked of it.
"""

import asyncio
import shlex
import shutil
import time
from typing import TYPE_CHECKING

from simulator.failure import Failure, UsageFailure
from simulator.stack_options import StackOptions
from simulator.supervisor import last_log_line

if TYPE_CHECKING:
    from simulator.log_watch import LogWatch  # aiokafka takes its time, and a stack needs only the names below

JOINS_S = 60.0  # a program may have to be compiled, or to read its keys first


def read_command(text: str) -> tuple[str, ...]:
    """Split as a shell would; the program must be there."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageFailure(f"--processor: {text!r} cannot be read as a command: {error}.") from None
    if not words:
        raise UsageFailure("--processor needs a command.")
    program = shutil.which(words[0])
    if program is None:
        raise UsageFailure(f"--processor: there is no program {words[0]!r}.")
    return (program, *words[1:])


def foreign_instance(index: int) -> str:
    return f"own{index}"


def foreign_client_id(index: int) -> str:
    """In the form of our own, so that whoever looks at the group need not know whose processor it is."""
    return f"payonce-processor-{foreign_instance(index)}-member"


async def wait_for_foreign(log: "LogWatch", stack: StackOptions) -> None:
    """Until the group's members own every partition, and say by their client ids which process each of them is."""
    wanted = {foreign_instance(index) for index in range(stack.processors)}
    began = time.monotonic()
    owners = await log.owners()
    while time.monotonic() - began < JOINS_S:
        owned = {partition for owner in owners for partition in owner.partitions}
        if owned >= set(log.partitions) and {owner.instance for owner in owners} >= wanted:
            return
        await asyncio.sleep(0.2)
        owners = await log.owners()
    said = last_log_line(stack.dir.absolute() / "logs" / "processor-0.log")
    if not owners:
        raise Failure(f"The processor did not join the group {log.group} within {JOINS_S:g} s; it said: {said}")
    raise Failure(
        f"The members of {log.group} are {', '.join(owner.instance for owner in owners)}: give the consumer "
        f"client.id=$CLIENT_ID, so that faults know which process owns what, and let it own every partition."
    )
