"""Refreshers: the page hangs, and the customer loads it again. Three things that can mean, each with and without
a key that outlives the page.

- *Cancelled*: the browser cancels the request, loads the form anew, and the customer presses again. The key lives
  in session storage, or is minted by the new page.
- *Re-rendered*: the page draws itself anew (a remount, a state reset) while its request goes on; nobody listens to
  that one any more, and the button works again. The key lives outside the component, or is minted while rendering.
- *Re-sent*: the browser posts the same form again (F5 on the page that answered the POST, or on one that hangs).
  The key is a hidden field of the form, or is minted by the shop's server for each POST it gets. This happens
  after an answer too: a shop that answers a POST with a page instead of a redirect has no protection but the key.

Real incident and its repair (a key in session storage, kept over unknown outcomes): akash-network/console#3449.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, insist, minted


class _Refresher(Persona):
    def __init__(self, name: str, help_: str, *, key_kept: bool) -> None:
        self.name = name if key_kept else f"{name}_new_key"
        self.help = f"{help_}; {'the key is kept' if key_kept else 'a bug: the key is minted anew'}"
        self.expects = Expects.CHARGED_ONCE if key_kept else Expects.OVERCHARGED
        self.key_kept = key_kept


class RefresherCancelled(_Refresher):
    def __init__(self, *, key_kept: bool) -> None:
        super().__init__("refresher_cancelled", "reloads: the request is cancelled, the form anew", key_kept=key_kept)

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=self.key_kept)
        delay_ms = 0.0
        for _ in range(rng.choice((1, 1, 2))):
            cancelled = Click(next(keys), delay_ms=delay_ms, vanishes_after_ms=rng.uniform(5.0, 120.0))
            (outcome,) = yield (cancelled,)
            if outcome.settles:
                return
            delay_ms = rng.uniform(300.0, 1_500.0)
        yield from insist(rng, keys, Click("", delay_ms=delay_ms))


class RefresherRendered(_Refresher):
    def __init__(self, *, key_kept: bool) -> None:
        super().__init__("refresher_rendered", "the page re-renders while its request goes on", key_kept=key_kept)

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=self.key_kept)
        first = Click(next(keys))
        again = Click(next(keys), delay_ms=rng.uniform(10.0, 120.0), if_unanswered=True)
        _, shown = yield (first, again)
        # The page listens to the second alone; a second that was not needed means that the first was shown in time.
        if shown.kind != "none" and not shown.settles:
            yield from insist(rng, keys, Click("", delay_ms=rng.uniform(300.0, 1_500.0)))


class RefresherResent(_Refresher):
    def __init__(self, *, key_kept: bool) -> None:
        super().__init__(
            "refresher_resent", "the browser posts the form again, also after an answer", key_kept=key_kept
        )

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=self.key_kept)
        (outcome,) = yield (Click(next(keys), patience_ms=rng.choice((300.0, 800.0, 2_000.0))),)
        for _ in range(rng.choice((1, 1, 2))):
            (outcome,) = yield (Click(next(keys), delay_ms=rng.uniform(200.0, 1_500.0)),)
        if not outcome.settles:
            yield from insist(rng, keys, Click("", delay_ms=rng.uniform(300.0, 1_500.0)))
