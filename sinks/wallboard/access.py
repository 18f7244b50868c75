"""Who may see what: names of this machine, and whether interactions are listed."""

from __future__ import annotations

from ipaddress import ip_address

from pipeline.settings import Settings


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that listens on ``host``."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def lists_rows(settings: Settings) -> bool:
    """Whether the wallboard may list the interactions behind a value, whose ids can tell of people.

    By default only to whoever works at this machine: the page itself has no log-in.
    """
    if settings.wallboard_rows == "local":
        return is_local(settings.wallboard_host)
    return settings.wallboard_rows == "always"
