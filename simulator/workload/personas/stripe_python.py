"""stripe-python 15.3.1 (stripe/stripe-python, 6c6e3736), as it comes.

| outcome | again? | source, `stripe/` |
| --- | --- | --- |
| connection failed or died, time-out | yes | `_http_client.py:130-136`, `653-666` |
| answer with `Stripe-Should-Retry` | as it says (no answer here has it) | `_http_client.py:144-148` |
| 409 | yes | `_http_client.py:151-152` |
| 500 and above | yes | `_http_client.py:159-160` |
| all else, 429 too | no | `_http_client.py:162` |

- Tries: 3, since `max_network_retries` is 2 (`__init__.py:38`).
- Key: each POST gets one, made once before the loop (`_api_requestor.py:571-573`), so every try carries the same.
- Waits: min(0.5·2^(n-1), 5) s times [0.5, 1], but never less than 0.5 s (`_http_client.py:164-187`, `86-87`): 0.5 s,
  then 0.5 to 1 s. Retry-After is not read.
- Time-out: 80 s (`_http_client.py:512`); nobody waits that long for this gateway.
"""

from simulator.seeded import Chance
from simulator.workload.behaviour import Outcome
from simulator.workload.personas.library import Library

FIRST_MS, MOST_MS = 500.0, 5_000.0


class StripePython(Library):
    name = "stripe_python"
    help = "stripe-python 15.3: three tries under one key, 409 and 5xx too"
    retries = 2

    def retries_on(self, outcome: Outcome) -> bool:
        return outcome.status is None or outcome.status == 409 or outcome.status >= 500

    def wait_ms(self, rng: Chance, retry: int, outcome: Outcome) -> float:
        ceiling_ms: float = min(FIRST_MS * 2.0 ** (retry - 1), MOST_MS)
        return max(FIRST_MS, ceiling_ms * rng.uniform(0.5, 1.0))
