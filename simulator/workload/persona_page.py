"""The page about the kinds of customers, made from the registry and the modules' own words: docs/personas.md.

Out:     Markdown: how to ask for them, a table of all, and a section for each module.
"""

import inspect
import sys
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter

from simulator.workload.behaviour import Expects, Persona
from simulator.workload.personas import PERSONAS

_HEAD = """# Kinds of customers

Made from `simulator/workload/personas` by `make schemas`; not edited by hand.

A kind of customer (a persona) is a script: which requests it makes, under which keys, after which waits, and what it
does about each outcome. All its choices come from the run's seed. A scenario says who comes, by weight:

```yaml
name: who-double-charges
about: Half of the shop's clients mint a key where they should not.
load:
  stages: [{for: 20s, rate: 30}]
  personas: {careful: 40, button_masher: 10, key_per_retry: 30, axios_retry_new_key: 20}
faults:
  - {fault: lose_response, first: 1s, every: 4s, lasts: 3s, share: 0.3}
```

```sh
payonce simulate who-double-charges.yaml
```

A client that sends one payment under two keys is charged twice under *every* guarantee: each key was honoured. The
audit convicts that as `duplicate_charge` with the cause `new_key`, and the run exits 1. What was meant is the intent,
and a customer who changes the amount still means one payment, the latest.

Line numbers are those of the version that is named. Waits are the library's own where a library is copied; people's
pauses are shortened, so that a run of half a minute sees whole stories.

"""
_PROMISES = {
    Expects.CHARGED_ONCE: "charged once, and told so",
    Expects.LEFT_IN_DOUBT: "charged once at most; may not learn it",
    Expects.OVERCHARGED: "**may be charged twice**",
    Expects.UNPROTECTED: "refused; where keys are optional, **charged for every attempt**",
}
_TABLE = """| persona | weight | what it does | under exactly-once |
| --- | --- | --- | --- |
"""


def persona_page() -> str:
    return _HEAD + _TABLE + "".join(map(_row, PERSONAS)) + "".join(_sections())


def _row(persona: Persona) -> str:
    link = f"[`{persona.name}`](#{_title(type(persona).__module__).replace(' ', '-')})"
    return f"| {link} | {persona.weight or ''} | {persona.help} | {_PROMISES[persona.expects]} |\n"


def _title(module: str) -> str:
    return module.rpartition(".")[2].replace("_", " ")


def _sections() -> Iterator[str]:
    module = attrgetter("__module__")
    order = list(dict.fromkeys(map(module, map(type, PERSONAS))))
    kinds = sorted(PERSONAS, key=lambda persona: order.index(module(type(persona))))
    for name, group in groupby(kinds, lambda persona: module(type(persona))):
        names = ", ".join(f"`{persona.name}`" for persona in group)
        yield f"\n## {_title(name)}\n\n{names}\n\n{inspect.cleandoc(sys.modules[name].__doc__ or '')}\n"
