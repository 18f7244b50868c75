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


class Moments(NamedTuple):
    """Moments of one interaction, UTC epoch milliseconds; None where they were not told.

    Attributes:
        entry_queue: The first queue that the contact entered, or through which it was accepted.
        due_ms: What was promised last: a promise may be changed.
        reply_ms: The first reply time that the platform measured, milliseconds.
        accepted_ms: When a human first accepted, other than for a consultation.
        callback_ms: When the customer first left a queue to be called back.
        called_back_ms: When a human then accepted.
    """

    entry_queue: str
    due_ms: int | None
    reply_ms: int | None
    accepted_ms: int | None
    callback_ms: int | None
    called_back_ms: int | None

    def first_reply_ms(self, started_ms: int, channel: str) -> int | None:
        """Time from the start to the first public reply of a human; None before it.

        A reply time measured by the platform wins. Else the first acceptance by a human stands for
        the reply, where customer and performer then meet: not on deferred channels, not in a
        consultation.
        """
        if self.reply_ms is not None:
            return self.reply_ms
        if channel in DEFERRED or self.accepted_ms is None:
            return None
        return self.accepted_ms - started_ms


def moments_of(events: Sequence[Event]) -> Moments:
    """What the events of an interaction, in their order, tell of its moments."""
    entry_queue = ""
    due_ms = reply_ms = accepted_ms = callback_ms = called_back_ms = None
    for event in events:
        if event.due_ms is not None:
            due_ms = event.due_ms
        if reply_ms is None:
            reply_ms = event.reply_ms
        kind = event.kind
        if kind == "accepted":
            entry_queue = entry_queue or event.queue
            if event.performer_kind != "bot":
                if accepted_ms is None and event.via != "consult":
                    accepted_ms = event.occurred_ms
                if callback_ms is not None and called_back_ms is None:
                    called_back_ms = event.occurred_ms
        elif kind == "queued":
            entry_queue = entry_queue or event.queue
        elif kind == "left_queue" and callback_ms is None and event.reason == "callback":
            callback_ms = event.occurred_ms
    return Moments(entry_queue, due_ms, reply_ms, accepted_ms, callback_ms, called_back_ms)


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
