"""The careful customer: one key for one intent, kept through every retry.

Copies stripe-python: the key is minted once, before the first attempt, and sent again unchanged after a
reset, a time-out, a 409, a 429 or a 5xx, with a jittered backoff that doubles. Gives up, not knowing, after
eight attempts.
"""

from random import Random

from simulator.workload.behaviour import Click, Visit, backoff_ms, new_key

ATTEMPTS_MAX = 8


class Careful:
    name = "careful"
    weight = 60

    def visit(self, rng: Random) -> Visit:
        key = new_key(rng)
        wait_ms = 0.0
        for attempt in range(1, ATTEMPTS_MAX + 1):
            (outcome,) = yield (Click(key, delay_ms=wait_ms),)
            if outcome.settles:
                return
            wait_ms = backoff_ms(rng, attempt)
