"""A client that sends no key at all; what protects its customer is on the page only, or nothing.

- *No key*: two or three clicks, and another whenever no answer came.
- *Disabled button*: one request at a time; the button is free again when the request failed, and the customer presses.
- *Backoff*: one request, and retries that wait longer each time, as careful clients do, without saying that they are
  the same payment.

Where a key is required each is refused before anything is sent on, and nobody is charged; where it is optional every
attempt that arrives is another payment, and no server can know better.
"""

from itertools import repeat

from simulator.seeded import Chance
from simulator.workload.behaviour import TRIES_MAX, Click, Expects, Persona, Visit, insist


class NoKey(Persona):
    name = "no_key"
    help = "no key: presses two or three times, and again whenever no answer came"
    expects = Expects.UNPROTECTED

    def visit(self, rng: Chance) -> Visit:
        moments_ms = [0.0]
        for _ in range(rng.choice((1, 1, 1, 2))):
            moments_ms.append(moments_ms[-1] + rng.uniform(40.0, 300.0))
        outcomes = yield tuple(Click(None, delay_ms=moment_ms) for moment_ms in moments_ms)
        for _ in range(TRIES_MAX):
            if any(outcome.settles for outcome in outcomes):
                return
            outcomes = yield (Click(None, delay_ms=rng.uniform(300.0, 1_500.0)),)


class NoKeyDisabledButton(Persona):
    name = "no_key_disabled_button"
    help = "no key: the button is disabled while a request runs, and pressed again when it failed"
    expects = Expects.UNPROTECTED

    def visit(self, rng: Chance) -> Visit:
        delay_ms = 0.0
        for _ in range(TRIES_MAX):
            (outcome,) = yield (Click(None, delay_ms=delay_ms),)
            if outcome.settles:
                return
            delay_ms = rng.uniform(300.0, 1_500.0)


class NoKeyBackoff(Persona):
    name = "no_key_backoff"
    help = "no key: a library retries, and waits longer each time"
    expects = Expects.UNPROTECTED

    def visit(self, rng: Chance) -> Visit:
        yield from insist(rng, repeat(None), Click(None))
