"""Moments of one interaction that single events tell, whatever else happens in it.

Each function takes all events of the interaction in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from pipeline.folds.event import Event
from pipeline.folds.stints import Stint

DEFERRED: Final = frozenset(("email", "task", "other"))
"""Channels on which to accept a contact is not yet to reply to it."""


class Callback(NamedTuple):
    """When the customer left a queue to be called back, and when a human then accepted."""

    asked_ms: int | None
    answered_ms: int | None


def due_ms(events: Sequence[Event]) -> int | None:
    """What was promised last: a promise may be changed."""
    promises = [event.due_ms for event in events if event.due_ms is not None]
    return promises[-1] if promises else None


def first_reply_ms(events: Sequence[Event], started_ms: int, channel: str) -> int | None:
    """Time from the start to the first public reply of a human; None before it.

    A reply time measured by the platform wins. Else the first acceptance by a human stands for the
    reply, where customer and performer then meet: not on deferred channels, not in a consultation.
    """
    for event in events:
        if event.reply_ms is not None:
            return event.reply_ms
    if channel in DEFERRED:
        return None
    for event in events:
        if event.kind == "accepted" and event.performer_kind != "bot" and event.via != "consult":
            return event.occurred_ms - started_ms
    return None


def callback(events: Sequence[Event]) -> Callback:
    """The first callback that was asked for, and the human acceptance that came after it."""
    asked_ms: int | None = None
    for event in events:
        if asked_ms is None:
            if event.kind == "left_queue" and event.reason == "callback":
                asked_ms = event.occurred_ms
        elif event.kind == "accepted" and event.performer_kind != "bot":
            return Callback(asked_ms, event.occurred_ms)
    return Callback(asked_ms, None)


def entry_queue(events: Sequence[Event]) -> str:
    """The first queue that the contact entered, or through which it was accepted."""
    entries = (e.queue for e in events if e.kind in ("queued", "accepted") and e.queue)
    return next(entries, "")


def repeated_after_handoff(events: Sequence[Event], bot: Stint) -> bool:
    """Whether the customer was authenticated again, or had to repeat, after a bot's handoff.

    The first authentication of a contact is none again, whoever asks for it.
    """
    known = False
    for event in events:
        after = bot.handoff_ms is not None and event.occurred_ms > bot.handoff_ms
        if event.kind == "authenticated":
            if after and known:
                return True
            known = True
        elif event.kind == "info_repeated" and after:
            return True
    return False
