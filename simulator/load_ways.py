"""By which way a run's customers reach the system: through proxies, straight to the gateways, or onto the log.

In:      a scenario, a Place.
Out:     proxies, doors, a LoadOrder, and the customers who carry it out, here or in several processes.
Errors:  none of its own.

A proxy costs time, and all bytes of all load processes pass through it: it is there only where a fault needs it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from simulator.history import HistoryWriter
from simulator.place import Place
from simulator.proxy.http import HttpLossProxy
from simulator.scenario.models import Load, Scenario
from simulator.workload.order import Customers, LoadOrder, OwnCustomers
from simulator.workload.processes import ManyCustomers

Doors = Sequence[tuple[str, str]]


def loses_bytes(scenario: Scenario) -> bool:
    return any(fault.on_http for fault in scenario.faults)


def without_missed_faults(scenario: Scenario, say: Callable[[str], None]) -> Scenario:
    """Leave out, and say so, what no customer of this run could ever meet."""
    if scenario.load.via == "http" or not loses_bytes(scenario):
        return scenario
    left_out = sorted({fault.name for fault in scenario.faults if fault.on_http})
    say(f"{', '.join(left_out)}: left out, as no customer of this run uses HTTP")
    return scenario.model_copy(update={"faults": tuple(fault for fault in scenario.faults if not fault.on_http)})


@asynccontextmanager
async def lossy_proxies(gateway_urls: Sequence[str]) -> AsyncIterator[list[HttpLossProxy]]:
    async with AsyncExitStack() as opened:
        proxies = []
        for name, url in straight(gateway_urls):
            proxy = HttpLossProxy.before(name, url)
            await proxy.start()
            opened.push_async_callback(proxy.stop)
            proxies.append(proxy)
        yield proxies


def straight(gateway_urls: Sequence[str]) -> Doors:
    return [(f"gateway {index}", url) for index, url in enumerate(gateway_urls)]


def load_order(
    seed: int, load: Load, place: Place, doors: Doors, partitions: int, salt: str | None = None
) -> LoadOrder:
    """`salt` tells the intents of several loads on one log apart; the place's when absent."""
    return LoadOrder(
        seed=seed,
        load=load,
        merchants=tuple(sorted(place.api_keys)),
        salt=place.salt if salt is None else salt,
        api_keys=dict(place.api_keys),
        doors=tuple(doors),
        connection=place.connection,
        namespace=place.namespace,
        partitions=partitions,
    )


def customers_of(order: LoadOrder, processes: int, history: HistoryWriter, directory: Path) -> Customers:
    if processes > 1:
        return ManyCustomers(order, processes, directory)
    return OwnCustomers(order, history, directory)
