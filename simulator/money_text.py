"""Money as people write it: minor units and a currency code to `1,234.50 USD`.

In:      an integer of minor units, a lower-case ISO 4217 code.
Out:     text, with as many digits after the point as the currency has.
Source:  ISO 4217 list one: the minor units of each currency. No floats.
"""

from typing import Final

NO_DIGITS: Final = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "isk",
        "jpy",
        "kmf",
        "krw",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]
)
THREE_DIGITS: Final = frozenset(["bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"])


def digits_of(currency: str) -> int:
    return 0 if currency in NO_DIGITS else 3 if currency in THREE_DIGITS else 2


def money_text(amount: int, currency: str) -> str:
    """`1,234.50 USD`, `1,234 JPY`, `1.234 KWD`; a negative amount has its sign in front."""
    digits = digits_of(currency)
    whole, minor = divmod(abs(amount), 10**digits)
    point = f".{minor:0{digits}d}" if digits else ""
    return f"{'-' if amount < 0 else ''}{whole:,}{point} {currency.upper()}"
