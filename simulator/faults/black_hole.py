"""The link leads nowhere: connections are accepted, everything sent on them vanishes, and nothing ever comes back.

Copies a firewall that drops in silence, or a route that leads past the destination. Customers wait until their patience
ends. What was under way to the gateway arrives; its answer does not. When the fault ends the connections that lost
bytes are reset: they could not go on.

Source:  Toxiproxy's `timeout`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from simulator.faults.base import Cadence, Fault, Injection, Scene
from simulator.faults.http_link import Lost, standing_on
from simulator.proxy.toxic import Passage, Toxic, Treatment


class BlackHole(Fault):
    fault: Literal["black_hole"] = "black_hole"
    cadence: ClassVar = Cadence(first_s=4.0, every_s=12.0, share=0.15, lasts_s=3.0)
    on_http: ClassVar = True

    gateways: Annotated[Literal["one", "all"], Field(description="Whose links: of one by chance, or of all.")] = "one"

    async def inject(self, scene: Scene, injection: Injection) -> None:
        chosen = scene.proxies if self.gateways == "all" else [injection.rng.choice(scene.proxies)]
        with standing_on(chosen, _Hole(injection)):
            await scene.lasts(injection.lasts_s)


@dataclass(eq=False)
class _Hole(Toxic):
    injection: Injection

    def begins(self, passage: Passage) -> Treatment | None:
        return _Swallowed(passage, self.injection, "silence")


class _Swallowed(Lost):
    def let_go(self) -> None:
        self.passage.reset()
