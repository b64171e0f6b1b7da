"""The impatient client: its time-out is shorter than an answer sometimes takes.

Copies an app whose HTTP time-out was set to what is usual on a good day: it hangs up after 30, 80 or 250 ms and asks
again at once, under the same key, while the first request is still being worked on. Only its last tries wait
as others do.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, insist, minted

TIMEOUTS_MS = (30.0, 80.0, 250.0)


class Impatient(Persona):
    name = "impatient"
    help = "hangs up after a fraction of a second and asks again at once under the same key"
    expects = Expects.CHARGED_ONCE

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=True)
        for _ in range(rng.randint(2, 5)):
            (outcome,) = yield (Click(next(keys), patience_ms=rng.choice(TIMEOUTS_MS)),)
            if outcome.settles:
                return
        yield from insist(rng, keys, Click(""))
