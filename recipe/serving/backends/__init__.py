"""Runtimes that answer for an exported network: a module here is one, and adding one is adding its module.

A module has the name of its package and gives RANK (the lowest is tried first), FORMATS that it reads, the best first,
SPREADS_ITSELF (whether it uses all cores in one call), `load(files, layout)` and `version()`. Importing it does not
import the package.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Any


@functools.cache
def names() -> tuple[str, ...]:
    """The runtimes in the order they are tried."""
    return tuple(sorted((found.name for found in pkgutil.iter_modules(__path__)), key=lambda n: backend_of(n).RANK))


def backend_of(name: str) -> Any:
    """The module of a runtime."""
    return importlib.import_module(f"{__name__}.{name}")
