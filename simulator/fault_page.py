"""docs/faults.md, made from the faults themselves: what each copies, when it strikes, what a scenario may set.

Out:     Markdown; a test fails when the committed page is stale.
"""

import inspect
import sys
from collections.abc import Iterator
from typing import Any, Final

from pydantic.fields import FieldInfo

from events.guarantees import Guarantee
from simulator.durations import write_seconds
from simulator.faults import BY_NAME
from simulator.faults.base import Fault

_COMMON: Final = frozenset(Fault.model_fields)
_HEAD: Final = f"""# Faults

{len(BY_NAME)} faults, one file each (`simulator/faults/`). A scenario lists them ([scenarios](scenarios.md)); all
can be mixed, each undoes what it did, and tells each time it bit what proves it. One that was listed and never bit
makes the verdict unknown. `at`, or `first` and `every`, and `lasts` belong to all of them; what else may be set stands
with each.

[The link between customers and gateways](http-link.md) and [the one between services and Kafka](kafka-link.md) have
pages of their own. This page is made from the code (`make schemas`).

"""


def fault_page() -> str:
    return _HEAD + _table() + "".join(map(_section, BY_NAME.values()))


def _table() -> str:
    rows = "".join(f"| [`{name}`](#{name}) | {_first_sentence(fault)} |\n" for name, fault in BY_NAME.items())
    return f"| fault | what happens |\n| --- | --- |\n{rows}"


def _section(fault: type[Fault]) -> str:
    return "".join(f"{part}\n" for part in _parts(fault))


def _parts(fault: type[Fault]) -> Iterator[str]:
    yield f"\n## {fault.model_fields['fault'].default}\n"
    yield _doc(fault) + "\n"
    cadence = fault.cadence
    lasts = f", for {write_seconds(cadence.lasts_s)}" if cadence.lasts_s else ""
    yield f"Strikes first after {write_seconds(cadence.first_s)}, then every {write_seconds(cadence.every_s)}{lasts}."
    if set(fault.under) != set(Guarantee):
        yield f"Only under {', '.join(sorted(fault.under))}."
    if fault.processors > 1:
        yield f"Only with {fault.processors} processors or more."
    if fault.needs == "kafka_link":
        yield "Needs a Kafka of the run's own."
    own = {name: field for name, field in fault.model_fields.items() if name not in _COMMON}
    if own:
        yield ""
        yield from (f"- `{name}` ({_default(field)}): {field.description}" for name, field in own.items())


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and any(type(one).__name__ == "BeforeValidator" for one in field.metadata):
        return write_seconds(value)
    return "not set" if value is None else f"{value}"


def _doc(fault: type[Fault]) -> str:
    return inspect.cleandoc(sys.modules[fault.__module__].__doc__ or "")


def _first_sentence(fault: type[Fault]) -> str:
    return " ".join(_doc(fault).split("\n\n")[0].split()).split(". ")[0].rstrip(".") + "."
