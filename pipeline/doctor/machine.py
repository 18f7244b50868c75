"""What can be looked at without asking any service."""

from __future__ import annotations

import platform
import stat
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from pipeline.app import sources
from pipeline.doctor.findings import Finding, bad, good, warning
from pipeline.identity import IdentityKeyError, parse_key, read_key
from pipeline.settings import Settings
from schemas.exhibit import Exhibit
from schemas.platforms import UnknownPlatformError
from schemas.platforms.base import OptionError

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


def machine(settings: Settings, exhibits: Sequence[Exhibit]) -> Iterator[Finding]:
    """Versions, platforms, exhibits and the identity key."""
    told = f"cxstream {version('cxstream')}, Python {platform.python_version()}"
    yield good("version", told)
    yield _platforms(settings)
    yield good("exhibit files", ", ".join(f"{e.exhibit} version {e.version}" for e in exhibits))
    yield _identity(settings)


def _platforms(settings: Settings) -> Finding:
    try:
        found = sources(settings.platforms, settings.platform_options)
    except (UnknownPlatformError, OptionError) as error:
        todo = "repair CXSTREAM_PLATFORMS or CXSTREAM_PLATFORM_OPTIONS"
        return bad("platforms", str(error), todo)
    return good("platforms", ", ".join(found))


def _identity(settings: Settings) -> Finding:
    check = "identity key"
    path = settings.identity_key_file
    try:
        if settings.identity_key is not None:
            parse_key(settings.identity_key.get_secret_value())
            return good(check, "in CXSTREAM_IDENTITY_KEY")
        read_key(path)
    except (IdentityKeyError, OSError) as error:
        todo = "`cxstream keys make PATH` makes one, once; all workers that take events in need it"
        return bad(check, str(error), todo)
    mode = path.stat().st_mode
    if mode & _OTHERS_MAY:
        told = f"{path} may be read by others ({stat.filemode(mode)})"
        return warning(check, told, f"chmod 600 {path}")
    return good(check, str(path))
