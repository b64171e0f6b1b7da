"""Who the customers are: one kind of customer, one file, one line here.

The order and the weights are part of what a seed means: the same seed and the same list give the same
customers.
"""

from typing import Final

from simulator.workload.behaviour import Persona
from simulator.workload.personas.careful import Careful
from simulator.workload.personas.double_clicker import DoubleClicker
from simulator.workload.personas.lost_connection import LostConnection

PERSONAS: Final[tuple[Persona, ...]] = (
    Careful(),
    DoubleClicker(),
    LostConnection(),
)

BY_NAME: Final[dict[str, Persona]] = {persona.name: persona for persona in PERSONAS}
