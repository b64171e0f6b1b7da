"""Which operations need an idempotency key, as the option `--enforcement` says it.

In:      `strict`, `optional`, or with exceptions `strict,charge.void=optional`.
Out:     for each operation whether a call without a key is refused.
Errors:  InvalidOption, one sentence.
Source:  CONTRACT, "HTTP (the gateway)", `Idempotency-Key`.
"""

from typing import Final

from events.operations import BY_NAME
from events.options import InvalidOption

_ENFORCEMENTS: Final = {"strict": True, "optional": False}


def key_required(text: str) -> dict[str, bool]:
    """Whether each operation needs a key; raises InvalidOption."""
    default, *exceptions = [part.strip() for part in text.split(",")]
    if default not in _ENFORCEMENTS:
        raise InvalidOption(f"The enforcement {default!r} is neither strict nor optional.")
    required = dict.fromkeys(BY_NAME, _ENFORCEMENTS[default])
    for exception in exceptions:
        operation, _, value = exception.partition("=")
        if operation not in required or value not in _ENFORCEMENTS:
            raise InvalidOption(f"{exception!r} is not OPERATION=strict|optional; operations are {', '.join(BY_NAME)}.")
        required[operation] = _ENFORCEMENTS[value]
    return required
