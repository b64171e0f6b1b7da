"""What a service process leaves out: imported first by each `__main__`, and by nothing else.

`kio` imports all of `hypothesis` where that is installed, to describe its types to tests. That is a third of a second
of a service's start in a developer's environment, and nothing in a user's, so a service says that there is none.
`structlog` imports all of `rich` for colourful tracebacks, which nobody sees in a service's log: another tenth.
"""

import sys

for _left_out in ("hypothesis", "rich"):
    sys.modules.setdefault(_left_out, None)  # type: ignore[arg-type]  # None is how Python marks an absent module
