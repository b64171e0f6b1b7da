"""The native part, if it was built: None where it was not (hatch_build.py), and everything works in Python then."""

from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from services import _native

    native: ModuleType | None = _native
else:
    try:
        from services import _native as native
    except ImportError:
        native = None

__all__: Final = ["native"]
