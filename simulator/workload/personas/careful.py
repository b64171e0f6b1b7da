"""The careful customer: one key for one intent, kept through every retry.

What a client should do, as stripe-python does it but with more patience (the library itself is `stripe_python`):
the key is minted once, before the first attempt, and sent again unchanged after a reset, a time-out, a 5xx or an
answer with Retry-After, with a jittered backoff that doubles. Gives up, not knowing, after eight attempts.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, backoff_ms, new_key

ATTEMPTS_MAX = 8


class Careful(Persona):
    name = "careful"
    help = "one key for one payment, kept through every retry, with a jittered backoff"
    expects = Expects.CHARGED_ONCE
    weight = 60

    def visit(self, rng: Chance) -> Visit:
        key = new_key(rng)
        wait_ms = 0.0
        for attempt in range(1, ATTEMPTS_MAX + 1):
            (outcome,) = yield (Click(key, delay_ms=wait_ms),)
            if outcome.settles:
                return
            wait_ms = backoff_ms(rng, attempt)
