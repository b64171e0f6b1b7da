"""A trial by hand: `python -m tests.support.outside --payments 5000 --seed 7 --guarantee exactly-once`.

Out:     one line a check, then the counts; exit code 1 where a check found something wrong.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.support.outside.trial import run_trial
from tests.support.outside.vandals import EVERY_ANSWERS, WEIGHTS
from tests.support.up import running


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.outside", description=__doc__)
    parser.add_argument("--payments", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 100_000)
    parser.add_argument("--for", dest="for_s", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--every", type=int, nargs=2, default=EVERY_ANSWERS, metavar="ANSWERS", help="between strikes")
    parser.add_argument("--guarantee", default="exactly-once")
    parser.add_argument("--partitions", default="4")
    parser.add_argument("--processors", default="2")
    parser.add_argument("--without", action="append", default=[], choices=sorted(WEIGHTS), help="a strike to leave out")
    parser.add_argument("--more", action="append", default=[], choices=sorted(WEIGHTS), help="a strike to repeat often")
    parser.add_argument("--key-ttl", help="so short that keys expire: what holds while they last is not checked then")
    parser.add_argument("--dir", type=Path, help="keep the stack's files there")
    parser.add_argument("--break", dest="bug", help="a named bug, to see whether it is noticed")
    asked = parser.parse_args()
    weights = {what: 0 if what in asked.without else weight for what, weight in WEIGHTS.items()}
    weights |= {what: sum(WEIGHTS.values()) for what in asked.more}
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it says of every try that the broker is away
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s {what}", file=sys.stderr, flush=True)

    options = ["--guarantee", asked.guarantee, "--partitions", asked.partitions, "--processors", asked.processors]
    options += ["--key-ttl", asked.key_ttl] if asked.key_ttl else []
    options += ["--gateways", "2"] + (["--break", asked.bug] if asked.bug else [])
    with tempfile.TemporaryDirectory() as made, running(asked.dir or Path(made), *options) as up:
        tell(f"seed {asked.seed}, ready")
        try:
            trial = asyncio.run(
                run_trial(
                    up.directory,
                    asked.seed,
                    asked.payments,
                    asked.for_s,
                    weights=weights,
                    every_answers=tuple(asked.every),
                    keys_expire=asked.key_ttl is not None,
                    tell=tell,
                )
            )
        finally:
            tell(f"`payonce up` said last: {up.err[-3:]}")
    print(trial)
    return 1 if trial.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
