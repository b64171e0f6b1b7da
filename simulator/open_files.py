"""As many open files as the kernel lets a process have: every connection is one.

Out:     how many this process may have open from now on.
Source:  setrlimit(2): a process may raise its soft limit up to the hard one; usual soft limits are 1,024.
"""

import resource
from contextlib import suppress


def allow_open_files() -> int:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # where the hard limit says "no limit" and none is allowed: as before, then
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
