"""Where a command's microseconds go in the processor: a sampling profile of the real process, sorted into steps.

In:      --commands N, --partitions P, --guarantee G, --rate SAMPLES a second, --top FRAMES.
Out:     microseconds a command that each thread's time goes to, by step; with --top the frames that have most of it.
Units:   microseconds of a thread that runs or waits for the interpreter, a command.
Errors:  one sentence where py-spy may not look into a process (Linux: root, or kernel.yama.ptrace_scope 0).

`python -m benchmarks.profile` preloads commands, starts `python -m services.processor` and lets py-spy look at it until
everything is committed. py-spy is fetched by uv and run beside the process: it stops it for a moment at each look, so
the rate is lower than without; shares are what to read. Native code is counted to the line of Python that called it.
"""

import argparse
import asyncio
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from pathlib import Path

from benchmarks.own_kafka import own_kafka
from benchmarks.throughput import NAMESPACE, commands, preload, until_done
from events.connection import connection
from services.kafka.kafka_log import KafkaLog
from tests.support.services import service

PY_SPY = "py-spy==0.4.1"
ENDING_S = 30
# A stack belongs to the first step of which it has a frame: function and file, as py-spy writes them.
STEPS = (
    ("look-ups in the store", ("get (services/processor/store/rocks.py",)),
    ("writing to the store", ("apply (services/processor/store/rocks.py",)),
    ("decode", ("decode_portion (services/processor/batch.py",)),
    ("decide and encode", ("settle_partition (services/processor/batch.py", "work (services/processor/batch.py")),
    ("batches", ("batches (services/kafka/batches.py",)),
    ("produce", ("produce (services/kafka/",)),
    ("offsets and commit", ("send_offsets (services/kafka/", "commit (services/kafka/")),
    ("expiry", ("(services/processor/expiry.py",)),
    ("metrics and logs", ("(services/processor/observer.py",)),
    ("fetch", ("(services/kafka/reader.py", "(aiokafka/")),
)
IDLE = ("_worker (concurrent/futures/thread.py", "run (asyncio/runners.py")  # as the innermost frame


def step_of(frames: list[str]) -> str:
    for step, names in STEPS:
        if any(name in frame for frame in frames for name in names):
            return step
    return "the loop, and the rest"


def sorted_into_steps(raw: str) -> tuple[Counter[str], Counter[str], int]:
    """Samples by step, by innermost frame, and those in which a thread had nothing to do."""
    steps: Counter[str] = Counter()
    inner: Counter[str] = Counter()
    idle = 0
    for line in raw.splitlines():
        stack, _, number = line.rpartition(" ")
        frames, count = stack.split(";"), int(number)
        if any(name in frames[-1] for name in IDLE):
            idle += count
            continue
        steps[step_of(frames)] += count
        inner[frames[-1]] += count
    return steps, inner, idle


def watch(pid: int, rate: int, into: Path) -> "subprocess.Popen[bytes]":
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    looking = [str(uv), "tool", "run", "--quiet", PY_SPY, "record", "--format", "raw", "--rate", str(rate)]
    return subprocess.Popen(
        [*looking, "--duration", "3600", "--output", str(into), "--pid", str(pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


async def measure(bootstrap: str, folder: Path, options: argparse.Namespace) -> tuple[str, float]:
    """py-spy's raw profile, and seconds."""
    kafka = await KafkaLog.connect(connection(bootstrap), client_id="payonce-benchmark")
    await kafka.ensure_topics(NAMESPACE, options.partitions)
    loads = commands(options.commands, 1_000, options.partitions)
    await preload(kafka, loads)
    environment = {
        "PAYONCE_KAFKA": bootstrap,
        "PAYONCE_NAMESPACE": NAMESPACE,
        "PAYONCE_PARTITIONS": str(options.partitions),
        "PAYONCE_GUARANTEE": options.guarantee,
    }
    raw = folder / "profile"
    with service("processor", folder / "processor", environment) as processor:
        began = time.monotonic()
        watching = watch(processor.pid, options.rate, raw)
        await until_done(kafka, loads, options.partitions)
        seconds = time.monotonic() - began
    _, said = await asyncio.to_thread(watching.communicate, timeout=ENDING_S)  # it ends with whom it watches
    await kafka.close()
    if not raw.exists():
        raise SystemExit(f"py-spy could not look: {said.decode(errors='replace').strip()}")
    return raw.read_text(encoding="utf-8"), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=300_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--guarantee", default="exactly-once")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--top", type=int, default=0)
    options = parser.parse_args()
    with own_kafka() as (bootstrap, folder):
        raw, seconds = asyncio.run(measure(bootstrap, folder, options))
    steps, inner, idle = sorted_into_steps(raw)
    us = 1e6 / options.rate / options.commands
    all_of_it = sum(steps.values())
    sys.stdout.write(f"{options.commands / seconds:.0f} commands/s while watched; {all_of_it} samples, {idle} idle\n")
    for step, count in steps.most_common():
        sys.stdout.write(f"{count * us:6.2f} us  {count / all_of_it:5.1%}  {step}\n")
    for frame, count in inner.most_common(options.top):
        sys.stdout.write(f"{count * us:6.2f} us  {count / all_of_it:5.1%}    {frame}\n")


if __name__ == "__main__":
    main()
