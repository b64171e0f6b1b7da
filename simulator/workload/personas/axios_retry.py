"""axios-retry 4.5.0 (softonic/axios-retry, dd9b700d): as it comes, and with a retryCondition for POST.

| outcome of a POST | by default | with `retryCondition: isRetryableError` | source, `src/index.ts` |
| --- | --- | --- | --- |
| connection failed or died (`ERR_NETWORK`, `ECONNRESET`) | **yes, whatever the method** | yes | `95-109`, `140-142`; `114-121` |
| time-out (`ECONNABORTED`) | no | no | `96-105`; `116` |
| 5xx | no: POST is not in the list | yes | `112`, `132-138`; `119` |
| 429 | no | yes | `132-138`; `118` |
| other answers | no | no | |

It is a common belief that POST is never retried by default. That holds for answers only: `isNetworkError` does not look
at the method, so a POST whose answer was lost is sent again (open issue softonic/axios-retry#66).

- Retries: 3 (`188`). Waits: none by default, Retry-After if the answer has it (`144-160`); the variants for POST use
  `exponentialDelay`: 100·2^n ms, at least Retry-After, plus 0 to 20 % (`162-171`).
- Key: a retry is `axiosInstance(config)` with the same config (`276-286`). A key that the caller put into the headers
  stays; a key that a *request interceptor* sets is set anew each time, for interceptors run again.
- Axios has no time-out of its own by default.
"""  # noqa: E501 - a row of a table is one line

from simulator.seeded import Chance
from simulator.workload.behaviour import Expects, Outcome
from simulator.workload.personas.library import Library, but_mints


class AxiosRetry(Library):
    retries = 3

    def __init__(self, *, key_kept: bool = True) -> None:
        self.name, self.help = (
            "axios_retry",
            "axios-retry 4.5 as it comes: a POST goes out again when its answer is lost",
        )
        if not key_kept:
            self.name, self.help, self.expects = but_mints(self.name, "a request interceptor")
        self.key_kept = key_kept

    def retries_on(self, outcome: Outcome) -> bool:
        return outcome.broken

    def wait_ms(self, rng: Chance, retry: int, outcome: Outcome) -> float:
        return outcome.retry_after_ms or 0.0


class AxiosRetryPost(AxiosRetry):
    def __init__(self, *, key_kept: bool = True) -> None:
        self.name, self.help = "axios_retry_post", "axios-retry 4.5 with a retryCondition for POST: also 429 and 5xx"
        self.expects = Expects.LEFT_IN_DOUBT
        if not key_kept:
            self.name, self.help, self.expects = but_mints(self.name, "a request interceptor")
        self.key_kept = key_kept

    def retries_on(self, outcome: Outcome) -> bool:
        return outcome.broken or outcome.status == 429 or (outcome.status or 0) >= 500

    def wait_ms(self, rng: Chance, retry: int, outcome: Outcome) -> float:
        delay_ms = max(100.0 * 2.0**retry, outcome.retry_after_ms or 0.0)
        return delay_ms * rng.uniform(1.0, 1.2)
