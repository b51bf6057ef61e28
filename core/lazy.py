"""Package fronts that load on first use.

Django imports an app's package before its models may be imported, and the offline verifier imports
`core.audit` without Django at all; so the fronts of core's apps name their functions and load them later.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def front(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module-level `__getattr__` that finds each name in the module of `package` given for it."""

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"{package} has no {name}")
        return getattr(importlib.import_module(f"{package}.{names[name]}"), name)

    return find
