"""A client's bug: the key is minted where the request is made, so each automatic retry is another payment.

Copies stripe-php before 6.34.2, which wrote a new key over the first on each automatic retry (stripe/stripe-php#637).
Otherwise as careful as can be: it backs off, and asks until an answer comes. Nothing goes wrong until an answer is
lost.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, insist, minted


class KeyPerRetry(Persona):
    name = "key_per_retry"
    help = "a bug: backs off and retries, and each retry mints a key of its own"
    expects = Expects.OVERCHARGED

    def visit(self, rng: Chance) -> Visit:
        yield from insist(rng, minted(rng, kept=False), Click(""))
