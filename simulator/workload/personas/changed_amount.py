"""The customer changes the amount while the first payment is in doubt: goes back, adds a tip, pays again.

Copies a checkout whose total is edited after "pay" was pressed. The customer wants to pay once, the latest amount.

- Under the *same key* that is the same key for another request: 422, if the first request arrived. Then the first
  amount was charged, once; a client that wants the other amount must first learn what became of the first.
- Under a *new key* (the key is derived from the cart, as in Adyen/adyen-commercetools#1305) both are executed, each
  under a key that is honoured: a client's bug.

Operations whose request has no amount (a void, the capture of everything) are sent unchanged.
"""

from itertools import repeat

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, insist, new_key


class ChangedAmount(Persona):
    def __init__(self, *, key_kept: bool) -> None:
        self.name = "changed_amount" if key_kept else "changed_amount_new_key"
        self.help = "goes back while in doubt and pays another amount, " + (
            "under the same key: 422" if key_kept else "a bug: under a new key"
        )
        self.expects = Expects.CHARGED_ONCE if key_kept else Expects.OVERCHARGED
        self.key_kept = key_kept

    def visit(self, rng: Chance) -> Visit:
        key = new_key(rng)
        (outcome,) = yield (Click(key, vanishes_after_ms=rng.uniform(5.0, 120.0)),)
        if outcome.settles:
            return
        if not self.key_kept:
            key = new_key(rng)
        changed = Click(key, delay_ms=rng.uniform(500.0, 2_000.0), add_amount=rng.randint(50, 500))
        yield from insist(rng, repeat(key), changed)
