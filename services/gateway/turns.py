"""Begin no more requests in one turn of the loop than leave it short.

In:      what begins a request.
Out:     it is called: at once, or in one of the next turns, in the order of arrival.
Units:   requests.
Errors:  whatever beginning raises.
Source:  an event loop runs everything that is ready before it looks for more. When a thousand requests arrive in one
         turn, the next takes a tenth of a second, and whoever could have been refused at once waits for so long.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

A_TURN: Final = 128  # about ten milliseconds


class Turns:
    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._left = A_TURN

    def __len__(self) -> int:
        """How many have arrived and not begun."""
        return len(self._waiting)

    def begin(self, start: Callable[[], object]) -> None:
        if self._left == A_TURN:
            asyncio.get_running_loop().call_soon(self._turn)
        if self._left:
            self._left -= 1
            start()
        else:
            self._waiting.append(start)

    def _turn(self) -> None:
        self._left = A_TURN
        while self._waiting and self._left:
            self._left -= 1
            self._waiting.popleft()()
        if self._left < A_TURN:
            asyncio.get_running_loop().call_soon(self._turn)
