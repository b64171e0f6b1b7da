"""The table of defences on a terminal: each defence a row, each server a column.

Out:     rich renderables; nothing is printed here.
"""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.defences import DEFENCES, SERVERS, Cell
from simulator.money_text import money_text


def render_defences(table: Mapping[str, Mapping[str, Cell]], lessons: Sequence[str]) -> RenderableType:
    drawn = Table(show_edge=False, pad_edge=False)
    drawn.add_column("the client's defence")
    for server in SERVERS:
        if server.name in table:
            drawn.add_column(f"{server.name}\n[dim]{server.means}[/dim]", justify="right")
    for defence in DEFENCES:
        drawn.add_row(
            defence.advice, *(_cell(table[server.name][defence.persona]) for server in SERVERS if server.name in table)
        )
    told: list[RenderableType] = [Text(f"- {lesson}") for lesson in lessons]
    return Group(drawn, Text(), *told)


def _cell(cell: Cell) -> Text:
    if not cell.intents:
        return Text("–")
    if not cell.paid:
        return Text(f"refused, {cell.intents} could not pay", style="dim")
    if not cell.again:
        return Text(f"{cell.paid} of {cell.intents} paid, once", style="green")
    money = ", ".join(money_text(amount, currency) for currency, amount in sorted(cell.money.items()))
    return Text(f"{cell.customers} of {cell.intents} charged again\n{money}", style="red")
