"""How client libraries retry: the loop that all of them are, and what each fills in.

In:      how often, on which outcomes, after which waits; whether the key is made once for the payment or by
         something that runs again on each try (an interceptor, the function that sends).
Units:   milliseconds.

A library gives up; the customer behind it goes home with what it said. So these are not careful customers:
each shows what its library does, no more.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Click, Expects, Outcome, Persona, Resend, Visit, minted

# Who has no time-out waits for minutes. The gateway says 504 after 20 s, so more than this changes nothing.
NO_TIMEOUT_MS = 22_000.0


class Library(Persona):
    retries: int = 0
    timeout_ms: float = NO_TIMEOUT_MS
    key_kept: bool = True
    resend: Resend = Resend.NOBODY
    expects = Expects.LEFT_IN_DOUBT

    def retries_on(self, outcome: Outcome) -> bool:
        return not succeeded(outcome)

    def wait_ms(self, rng: Chance, retry: int, outcome: Outcome) -> float:
        """Before retry number `retry` (1, 2, …)."""
        return 0.0

    def visit(self, rng: Chance) -> Visit:
        keys = minted(rng, kept=self.key_kept)
        delay_ms = 0.0
        for retry in range(1, self.retries + 2):
            click = Click(next(keys), delay_ms=delay_ms, patience_ms=self.timeout_ms, resend=self.resend)
            (outcome,) = yield (click,)
            if succeeded(outcome) or retry > self.retries or not self.retries_on(outcome):
                break
            delay_ms = self.wait_ms(rng, retry, outcome)
        yield from self.afterwards(rng, next(keys), outcome)

    def afterwards(self, rng: Chance, key: str, last: Outcome) -> Visit:
        """What the library does once it has succeeded or given up: nothing."""
        yield from ()


def succeeded(outcome: Outcome) -> bool:
    """2xx; most libraries, or the code around them, make an error of everything else."""
    return outcome.status is not None and 200 <= outcome.status < 300


def but_mints(name: str, where: str) -> tuple[str, str, Expects]:
    """Name, help and expectation of a library whose key is made anew on each try."""
    return f"{name}_new_key", f"a bug: {name}, its key made in {where}, anew on each try", Expects.OVERCHARGED
