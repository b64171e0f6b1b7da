"""Logs of every service: JSON lines on stderr, libraries' included, none of them a flood."""

import json
import subprocess
import sys

SCRIPT = """
import logging, structlog
from services import logs
logs.configure("gateway")
structlog.get_logger().info("ready", listen="x")
for number in range(1000):
    logging.getLogger("aiokafka").error("broker %s is away", number)
logging.getLogger("aiokafka").info("never told")
secret = "sk_acme"
try:
    raise ValueError("why")
except ValueError:
    logging.getLogger("other").exception("failed")
"""


def test_logs_are_json_lines_and_libraries_do_not_flood() -> None:
    """One line per event with role, level and instant; repetitions are told once a second; no locals."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["ready", "library_logged", "library_logged"]
    assert all(line["role"] == "gateway" and line["at"] > 1_700_000_000_000 for line in lines)
    assert lines[1]["message"] == "broker 0 is away"
    assert lines[2]["exception"][0]["exc_value"] == "why"
    assert "sk_acme" not in ran.stderr
