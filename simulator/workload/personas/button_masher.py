"""The button masher: presses "pay" again and again until an answer shows.

Copies a slow checkout page that mints its key when it is rendered and leaves its button enabled: one press
every 120 to 500 ms, eight at most, all under the same key, until the page changes. When none of them brought an
answer the customer presses again later.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import TRIES_MAX, Click, Expects, Persona, Visit, insist, minted


class ButtonMasher(Persona):
    name = "button_masher"
    help = "presses the button every moment until an answer shows, always under the page's one key"
    expects = Expects.CHARGED_ONCE

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=True)
        moment_ms = 0.0
        presses = [Click(next(keys))]
        while len(presses) < TRIES_MAX:
            moment_ms += rng.uniform(120.0, 500.0)
            presses.append(Click(next(keys), delay_ms=moment_ms, if_unanswered=True))
        outcomes = yield tuple(presses)
        if not any(outcome.settles for outcome in outcomes):
            yield from insist(rng, keys, Click("", delay_ms=1_000.0))
