"""A client's bug: the key is minted in the button's click handler, so each click is another payment.

Copies a checkout whose handler calls `crypto.randomUUID()` and does not disable its button: two or three clicks, 40
to 300 ms apart, side by side, each under a key of its own. Every key is honoured, and the customer is charged for each.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, insist, minted


class KeyPerClick(Persona):
    name = "key_per_click"
    help = "a bug: double clicks, and each click mints a key of its own"
    expects = Expects.OVERCHARGED

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=False)
        clicks = rng.choice((2, 2, 2, 3))
        moment_ms = 0.0
        turn = []
        for _ in range(clicks):
            turn.append(Click(next(keys), delay_ms=moment_ms))
            moment_ms += rng.uniform(40.0, 300.0)
        outcomes = yield tuple(turn)
        if not any(outcome.settles for outcome in outcomes):
            yield from insist(rng, keys, Click("", delay_ms=1_000.0))
