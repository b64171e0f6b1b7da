"""Collect garbage rarely while customers come: a pause of ours would be measured as the system's.

Source:  CPython's collector walks everything that is alive when its oldest generation is due; the plan alone is some
         hundred thousand objects, none of them garbage before the end. What is in no cycle, and that is nearly all a
         load makes, is freed by its reference count all the same.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_MAX: Final = 50_000  # new objects between two collections; 700 by default
GENERATIONS: Final = (20, 50)


@contextmanager
def rare_collection() -> Iterator[None]:
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, *GENERATIONS)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
