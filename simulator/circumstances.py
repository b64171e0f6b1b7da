"""What a run depended on besides its seed: the command, the versions, the machine.

In:      this process and this machine.
Out:     plain values for the history's run line, and so for report.json.
Units:   memory in bytes.
"""

import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

from simulator.broker.embedded import KAFKA_VERSION

_PASSWORD: Final = re.compile(r"(\w://[^:/@]*):.*@", re.DOTALL)
# Whatever a measurement could hang on.
PACKAGES: Final = ("aiokafka", "faststream", "hdrhistogram", "httptools", "kio", "orjson", "rocksdict", "uvloop")


def command_line(arguments: Sequence[str] | None = None) -> str:
    """As it was typed, fit for a shell, without the passwords of URLs."""
    typed = sys.argv[1:] if arguments is None else arguments
    return shlex.join(["payonce", *(_PASSWORD.sub(r"\1:***@", word) for word in typed)])


def versions(kafka: str) -> dict[str, str]:
    """`kafka` is the option: the embedded broker's version is ours to know, another one's is not."""
    found = {"payonce": version("payonce"), "python": platform.python_version()}
    if kafka == "embedded":
        found["kafka"] = KAFKA_VERSION
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
