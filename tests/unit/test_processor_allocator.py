"""What the C library is told about memory that batches have used."""

import subprocess
import sys


def test_the_c_library_takes_what_it_is_told() -> None:
    """glibc accepts every value: one beyond its limits would be refused in silence, and cost system time."""
    told = "from services.processor.allocator import keep_freed_memory; print(keep_freed_memory())"
    assert subprocess.check_output([sys.executable, "-c", told], text=True) == "True\n"
