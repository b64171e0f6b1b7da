"""What a service process leaves out: imported first by each `__main__`, and by nothing else.

`kio` imports all of `hypothesis` where that is installed, to describe its types to tests. That is a third of a second
of a service's start in a developer's environment, and nothing in a user's, so a service says that there is none.
"""

import sys

sys.modules.setdefault("hypothesis", None)  # type: ignore[arg-type]  # None is how Python marks an absent module
