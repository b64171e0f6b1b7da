"""What machine this is, so that a figure can be told from another machine's.

Out:     plain values for bench.json.
Units:   bytes; a load average is of the minute before.
"""

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from simulator.broker.embedded import KAFKA_VERSION


def machine(kafka: str) -> dict[str, Any]:
    """`kafka` is what --kafka says: the version of somebody else's is not known."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION if kafka == "embedded" else f"at {kafka}",
        "payonce": version("payonce"),
        "hot_path": "native" if find_spec("services._native") else "python",
        "load_average": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
