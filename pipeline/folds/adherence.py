"""Which states a scheduled activity asks for: the mapping without which adherence means nothing.

Amazon Connect compares the class of the state with the class of the activity, without tolerance,
over scheduled time only (AC8); Microsoft leaves activities out that are not tracked and counts no
sign-in as out of adherence (M5). Both hold here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple


class Activity(NamedTuple):
    """What a scheduled activity means. Without ``states`` it is not tracked."""

    states: frozenset[str]
    paid: bool = True


_AT_WORK: Final = frozenset(("available", "busy", "wrap"))
_AWAY: Final = frozenset(("away",))
_GONE: Final = frozenset(("away", "offline"))
_UNTRACKED: Final = Activity(frozenset())

ACTIVITIES: Final = MappingProxyType({
    "on_queue": Activity(_AT_WORK),
    "break": Activity(_GONE),
    "meal": Activity(_GONE),
    "training": Activity(_AWAY),
    "meeting": Activity(_AWAY),
    "coaching": Activity(_AWAY),
    "back_office": Activity(_AWAY),
    "leave": Activity(frozenset()),
    "unpaid_leave": Activity(frozenset(), paid=False),
})  # fmt: skip
"""Activities by name. Any other one is paid and not tracked."""


def activity(name: str) -> Activity:
    """What a scheduled activity means."""
    return ACTIVITIES.get(name, _UNTRACKED)
