"""The one place where chance comes from: a seed and a name give the same choices, every time.

Each thing that chooses has a name of its own, so that one more choice here moves none there.
"""

from random import Random


def seeded(*name: object) -> Random:
    return Random("/".join(map(str, name)))  # noqa: S311 - repeatable on purpose; no secret is made from it
