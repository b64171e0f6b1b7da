"""Switch named bugs on (`--break NAME`): each is one file in the folder `broken` of the service that has it.

In:      the folder, as a package's name; the names; what the service is put together from.
Out:     the same with one part in a wrong form for each of the names that this service has a file for.
Errors:  none: names were checked when the settings were read.
Source:  events.breaks.

A file is named as its bug, with underscores, and has a function `switch_on(parts)`. Nothing of it is imported
unless it was asked for, and nothing asks "is this bug on?" while a service works.
"""

from collections.abc import Collection
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

Parts = TypeVar("Parts")


def switched_on(folder: str, names: Collection[str], parts: Parts) -> Parts:
    for name in sorted(names):
        file = f"{folder}.{name.replace('-', '_')}"
        if find_spec(file) is not None:
            parts = import_module(file).switch_on(parts)
    return parts
