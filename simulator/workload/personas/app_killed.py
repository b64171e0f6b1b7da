"""The app is killed while it pays: by the phone, by a crash, by an empty battery.

With a *saved key* (written down before the first request is made) the app finds it when it is started again and
asks under it. *Without* one it mints another: a client's bug, and a second charge if the first request arrived.
Half a second to four seconds go by until it is started again, so that a run of half a minute sees whole stories.
"""

from itertools import repeat

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Persona, Visit, insist, new_key


class AppKilled(Persona):
    def __init__(self, *, key_kept: bool) -> None:
        self.name = "app_killed" if key_kept else "app_killed_new_key"
        self.help = "the app dies while it pays and is started again; " + (
            "the key was saved" if key_kept else "a bug: the key died with it"
        )
        self.expects = Expects.CHARGED_ONCE if key_kept else Expects.OVERCHARGED
        self.key_kept = key_kept

    def visit(self, rng: Chance) -> Visit:
        key = new_key(rng)
        (outcome,) = yield (Click(key, vanishes_after_ms=rng.uniform(2.0, 60.0)),)
        if outcome.settles:
            return
        if not self.key_kept:
            key = new_key(rng)
        yield from insist(rng, repeat(key), Click("", delay_ms=rng.uniform(500.0, 4_000.0)))
