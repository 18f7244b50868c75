"""Intake of real platforms: native payload in, unified events out.

A platform is one module of this package that gives a ``PLATFORM``; it is found by the name of its
module, so a new one needs no registration.
"""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.platforms.base import Platform


class UnknownPlatformError(LookupError):
    """No module of this package has the name."""


@cache
def platform_names() -> tuple[str, ...]:
    """Names of all platforms, sorted."""
    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(__path__)
            if hasattr(import_module(f"{__name__}.{module.name}"), "PLATFORM")
        )
    )


def find_platform(name: str) -> Platform:
    """Return the platform of this name.

    Raises:
        UnknownPlatformError: there is none; the text names those there are.
    """
    names = platform_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise UnknownPlatformError(
            f"unknown platform {name[:64]!r}{hint} Platforms: {', '.join(names)}"
        )
    found: Platform = import_module(f"{__name__}.{name}").PLATFORM
    return found
