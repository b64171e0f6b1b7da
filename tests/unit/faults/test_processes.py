"""Killing and pausing: what is struck really dies or stands still, and is mended."""

import asyncio
import signal

import psutil
import pytest

from simulator.faults.base import Fault
from simulator.faults.kill_gateway import KillGateway
from simulator.faults.kill_ledger import KillLedger
from simulator.faults.pause_broker import PauseBroker
from simulator.faults.pause_gateway import PauseGateway
from simulator.faults.pause_ledger import PauseLedger
from simulator.faults.rolling_restart import RollingRestart
from tests.support.victim import injection_of, scene_with
from tests.support.wait import wait_until


@pytest.mark.parametrize(("role", "fault"), [("gateway", KillGateway()), ("ledger", KillLedger())])
async def test_the_killed_is_dead_and_another_takes_its_place(role: str, fault: Fault) -> None:
    """It bites once, tells whom, and returns when the successor runs."""
    hits: list[dict[str, object]] = []
    async with scene_with(role) as (scene, victim):
        injection = injection_of(fault, hits.append)
        await fault.inject(scene, injection)
        assert hits == [{"process": f"{role} 0", "pid": victim.pid}]
        assert not victim.is_running()
        assert injection.found["back_after_s"] >= 0.0
        assert [one.pid for one in scene.processes.running(role)] != [victim.pid]


@pytest.mark.parametrize(
    ("role", "fault"), [("gateway", PauseGateway()), ("ledger", PauseLedger()), ("broker", PauseBroker())]
)
async def test_the_stopped_goes_on_when_the_fault_ends_or_is_cancelled(role: str, fault: Fault) -> None:
    """It bites once and mends what it broke."""
    hits: list[dict[str, object]] = []
    async with scene_with(role) as (scene, victim):
        strike = asyncio.create_task(fault.inject(scene, injection_of(fault, hits.append)))
        await wait_until(lambda: victim.status() == psutil.STATUS_STOPPED, timeout_s=10.0, message="it went on")
        assert len(hits) == 1
        strike.cancel()
        await asyncio.gather(strike, return_exceptions=True)
        await wait_until(lambda: victim.status() != psutil.STATUS_STOPPED, timeout_s=10.0, message="it stood still")
        scene.quiet.set()  # the customers have gone: nothing to wait for
        await fault.inject(scene, injection_of(fault))
        assert victim.status() != psutil.STATUS_STOPPED


async def test_a_restart_is_asked_for_and_waited_for() -> None:
    """SIGTERM, and the next one only when the successor runs."""
    hits: list[dict[str, object]] = []
    fault = RollingRestart(role="ledger")
    async with scene_with("ledger") as (scene, victim):
        await fault.inject(scene, injection_of(fault, hits.append))
        assert [hit["pid"] for hit in hits] == [victim.pid]
        (heir,) = scene.processes.running("ledger")
        assert hits[0]["successor"] == heir.pid != victim.pid


@pytest.mark.parametrize("fault", [KillLedger(), PauseLedger()])
async def test_nobody_to_strike_is_told_and_is_no_bite(fault: Fault) -> None:
    """A cluster that is not ours has no process that could be killed: the reason is in the end of the strike."""
    async with scene_with("gateway") as (scene, victim):
        injection = injection_of(fault)
        await fault.inject(scene, injection)
        assert injection.hits == 0
        assert injection.found["reason"] == "no ledger of ours was running"
        victim.send_signal(signal.SIGKILL)
