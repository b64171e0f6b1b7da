"""Customers in several processes: together they are the customers of one, and leave what one would leave."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from events.connection import connection
from simulator.audit.clients import fold
from simulator.failure import Failure
from simulator.history import HistoryWriter, read_history
from simulator.scenario.models import Load
from simulator.workload.order import LoadOrder
from simulator.workload.plan import plan_purchases
from simulator.workload.processes import ManyCustomers
from simulator.workload.summary import load_summary
from tests.support.answering import gateway
from tests.support.wait import wait_until, wait_until_sync

MERCHANTS = ("merchant_1", "merchant_2")
RUN = {"kind": "run", "started_at": 1}


def order(url: str, stages: list[dict[str, object]], via: str = "http") -> LoadOrder:
    return LoadOrder(
        seed=5,
        load=Load.model_validate({"stages": stages, "via": via, "journeys": {"pay": 1}}),
        merchants=MERCHANTS,
        salt="",
        api_keys=dict.fromkeys(MERCHANTS, "key"),
        doors=(("gateway 0", url),),
        connection=connection("127.0.0.1:1"),
        namespace="payments",
        partitions=4,
    )


@pytest.mark.timeout(90)
async def test_two_processes_are_the_customers_of_one(tmp_path: Path) -> None:
    """Every purchase of the plan once, whoever made it; histories, histograms and counts are the sums."""
    history, latency_log = tmp_path / "history.jsonl", tmp_path / "latency.hlog"
    async with gateway(lambda _: (201, 0.0)) as url:
        asked = order(url, [{"for": "1s", "rate": 150}])
        async with ManyCustomers(asked, 2, tmp_path) as customers:
            await customers.prepare()
            with HistoryWriter(history) as writer:
                writer.write(RUN)
                await customers.run()
                writer.write({"kind": "fault", "fault": "none", "phase": "hit", "at": 2**50})
            customers.merge(history)
    planned = plan_purchases(5, asked.load, MERCHANTS)
    lines = list(read_history(history))
    assert lines[0] == RUN
    assert lines[-1]["kind"] == "fault"
    instants = [line["at"] for line in lines[1:]]
    assert instants == sorted(instants)
    assert sorted(fold(lines).intents) == sorted(purchase.charge.intent for purchase in planned)
    summary = load_summary(customers.tally)
    assert summary["purchases_planned"] == summary["answered"] == len(planned)
    assert summary["attempts"] == sum(line["kind"] == "invoke" for line in lines)
    assert summary["latency_ms_by_outcome"]["fresh"]["count"] == summary["statuses"]["201"]
    fresh = [line.split(",")[1] for line in latency_log.read_text().splitlines() if line.startswith("Tag=fresh,")]
    assert fresh == sorted(set(fresh))
    assert set(await asyncio.to_thread(os.listdir, tmp_path)) == {"history.jsonl", "latency.hlog"}


@pytest.mark.timeout(90)
async def test_who_is_sent_away_is_in_the_history(tmp_path: Path) -> None:
    """Cancelled in mid-run, each process writes down how its customers ended, and its counts are kept."""
    history = tmp_path / "history.jsonl"
    async with (
        gateway(lambda _: (201, 60.0)) as url,
        ManyCustomers(order(url, [{"for": "1m", "rate": 50}]), 2, tmp_path) as customers,
    ):
        await customers.prepare()
        running = asyncio.create_task(customers.run())
        await wait_until(
            lambda: asyncio.sleep(0, customers.tally.intents > 0), timeout_s=30, message="nobody ever came"
        )
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with HistoryWriter(history) as writer:
            writer.write(RUN)
        customers.merge(history)
    clients = fold(read_history(history))
    ends = {attempt.end for intent in clients.intents.values() for attempt in intent.attempts.values()}
    assert "info" in ends
    assert None not in ends
    assert customers.tally.intents == len(clients.intents)


@pytest.mark.timeout(90)
async def test_a_load_process_that_cannot_begin_says_why(tmp_path: Path) -> None:
    """One sentence, from the process that found out."""
    async with ManyCustomers(order("", [{"for": "1s", "rate": 5}], via="kafka"), 2, tmp_path) as customers:
        with pytest.raises(Failure, match=r"The log at 127\.0\.0\.1:1 cannot be written to"):
            await customers.prepare()


ORPHANS = """
import asyncio, sys
from pathlib import Path
from tests.unit.workload.test_processes import order
from simulator.workload.processes import ManyCustomers

async def main():
    many = ManyCustomers(order("http://127.0.0.1:1", [{"for": "10m", "rate": 20}]), 2, Path(sys.argv[1]))
    await many.prepare()
    await many.run()

asyncio.run(main())
"""


@pytest.mark.timeout(90)
def test_load_processes_do_not_outlive_their_parent(tmp_path: Path) -> None:
    """SIGKILL the parent, which can tell nobody, and its load processes go."""
    with subprocess.Popen([sys.executable, "-c", ORPHANS, str(tmp_path)]) as parent:
        try:
            wait_until_sync(
                lambda: len(list(tmp_path.glob("load-*.hlog"))) == 2, timeout_s=60, message="no load process ever began"
            )
            parts = [
                child for child in psutil.Process(parent.pid).children() if "spawn_main" in " ".join(child.cmdline())
            ]
        finally:
            parent.kill()
    assert len(parts) == 2
    gone, left = psutil.wait_procs(parts, timeout=30)
    assert len(gone) == 2, f"{left} still run"
