"""What defences.json says, version 1: the models its published JSON Schema is made from.

In:      the plain values of a defences.json.
Out:     `DefencesReport`; docs/defences.schema.json.
Units:   counts of purchases, each a customer's; money in integer minor units by lower-case currency code.
Errors:  pydantic's ValidationError for what is no comparison of this version.
"""

from typing import Annotated, Literal

from pydantic import Field

from simulator.report.model import Count, Money, Part


class DefenceCell(Part):
    """One defence before one server."""

    intents: Annotated[int, Field(ge=0, description="Purchases, each meant once.")]
    paid: Annotated[int, Field(ge=0, description="Of these, answered 201.")]
    charged_again: Annotated[int, Field(ge=0, description="Executions beyond the first.")]
    customers_charged_again: Count
    overcharged: Annotated[Money, Field(description="Taken beyond the first charge, in minor units by currency.")]
    not_paid: Annotated[
        dict[str, Count], Field(description="Who got no 201, by the status they heard last; `none` without an answer.")
    ]


class DefencesReport(Part):
    """defences.json of one comparison."""

    schema_: Annotated[Literal[1], Field(alias="schema", description="The version of this format.")]
    seed: int
    servers: Annotated[dict[str, str], Field(description="What each server does.")]
    folders: Annotated[dict[str, str], Field(description="Of each finished run, relative to this file.")]
    cells: Annotated[dict[str, dict[str, DefenceCell]], Field(description="By server, then by kind of customer.")]
    lessons: Annotated[list[str], Field(description="What the cells show; empty for a comparison cut short.")]
