"""What a service process leaves out: imported first by each `__main__`, and by nothing else.

`kio` imports all of `hypothesis` where that is installed, to describe its types to tests. That is a third of a second
of a service's start in a developer's environment, and nothing in a user's, so a service says that there is none.
`structlog` imports all of `rich` for colourful tracebacks, which nobody sees in a service's log: another tenth.
`uvicorn` imports its command line, and `click` with it, which a service does not have: a twentieth.

Imports make objects by the hundred thousand that never die; looking through them for garbage again and again is a
twelfth of the time, and later the longest pause of a process that serves. So the collector starts with `imported`.
"""

import gc
import sys
from types import ModuleType

gc.disable()

for _left_out in ("hypothesis", "rich"):
    sys.modules.setdefault(_left_out, None)  # type: ignore[arg-type]  # None is how Python marks an absent module

_command_line = ModuleType("uvicorn.main")
# The names that the package asks it for. The server itself comes from `uvicorn.server`.
vars(_command_line).update(dict.fromkeys(("Server", "main", "run")))
sys.modules.setdefault("uvicorn.main", _command_line)


def imported() -> None:
    """Collect garbage from now on, and never among what there is already."""
    gc.freeze()
    gc.enable()
