"""Money by currency, added up."""

from collections.abc import Mapping

Money = Mapping[str, int]  # currency: minor units


def add_money(total: dict[str, int], more: Money) -> None:
    for currency, amount in more.items():
        total[currency] = total.get(currency, 0) + amount
