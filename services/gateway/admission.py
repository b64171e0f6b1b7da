"""How many requests may wait for their answers at once: no more than are answered within a second.

In:      each answer, at the moment it comes.
Out:     whether one more may wait.
Units:   seconds of a monotonic clock; requests.
Errors:  none. The clock is handed in.
Source:  Little's law: who joins a line of L that moves at a rate of R waits L/R. R is the best second of the last ten,
         as BBR estimates a bottleneck (Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14(5),
         2016): a quiet second, or one in which the log stood still, says nothing about what the system can do.
         Where it has become slower than that, the first in line shows it: he has waited for longer than a second.

Whoever would wait longer is refused before anything is sent, and told to come back (503, `Retry-After: 1`). A line that
only grows answers everybody too late, and spends its work on those who have gone away.
"""

from collections import deque
from typing import Final

WAIT_S: Final = 1.0  # what Retry-After says too: rather come back than stand in line for longer
MEMORY_S: Final = 10  # whole seconds; a processor that dies is replaced within them, and the line stays as long
# The processor answers hundreds in one transaction: a line shorter than this would keep it from showing what it can do.
WAITING_LEAST: Final = 512
WAITING_FEW: Final = 128  # no line yet, however slow: it is the machine's, or a processor that is being replaced


class Admission:
    def __init__(self, waiting_max: int) -> None:
        """`waiting_max`: whatever the rate, as each holds its body in memory."""
        self._waiting_max = waiting_max
        self._seconds: deque[tuple[int, int]] = deque()  # second, answers in it; the newest last
        self.limit = min(WAITING_LEAST, waiting_max)

    def answered(self, now_s: float) -> None:
        second = int(now_s)
        count = self._seconds.pop()[1] if self._seconds and self._seconds[-1][0] == second else 0
        self._seconds.append((second, count + 1))
        while self._seconds[0][0] < second - MEMORY_S:
            self._seconds.popleft()
        best = max(count for _, count in self._seconds)
        self.limit = min(self._waiting_max, max(WAITING_LEAST, int(best * WAIT_S)))

    def allows(self, waiting: int, oldest_s: float) -> bool:
        """Whether one more may join so many others, of whom the first has waited for so long."""
        return waiting < min(WAITING_FEW, self.limit) or (waiting < self.limit and oldest_s <= WAIT_S)
