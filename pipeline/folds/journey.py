"""The fold of one customer: contacts with their gaps, and journeys.

Repeat windows of any length are questions to the gaps kept here, so no window decides what is kept.
Contacts count as repeats of contacts in the same direction only: a call out is no repeat of a call
in. A contact without a known customer has no neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from pipeline.folds.rows import BotSession, ContactRow, Folded, Row
from schemas.facts import Contact, Header, Journey

CODE_VERSION = 1
"""Version of the rules of this fold."""

JOURNEY_GAP_MS = 7 * 86_400_000
"""Contacts on one intent with no longer gap between them are one journey."""


def fold(contacts: Iterable[ContactRow]) -> Folded:
    """Contact and journey rows of one customer, from all contacts known."""
    ordered = sorted(contacts, key=lambda c: (c.started_ms, c.header.interaction_id))
    gaps = [
        _Gaps(ordered, lambda c: (c.header.direction, "i", c.header.intent)),
        _Gaps(ordered, lambda c: (c.header.direction, "q", c.header.queue)),
        _Gaps(ordered, lambda c: (c.header.direction, "a", "")),
    ]
    rows: list[Row] = []
    for contact in ordered:
        rows.extend(_contact_rows(contact, gaps))
    rows.extend(_journeys(ordered))
    return Folded(tuple(rows), (), None)


class _Gaps:
    """Distances from the end of one contact to the start of the next of the same scope."""

    def __init__(
        self, contacts: Sequence[ContactRow], scope: Callable[[ContactRow], tuple[str, ...]]
    ) -> None:
        self._scope = scope
        self._starts: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._ends: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for contact in contacts:
            key = scope(contact)
            self._starts[key].append(contact.started_ms)
            if contact.ended_ms is not None:
                self._ends[key].append(contact.ended_ms)
        for ends in self._ends.values():
            ends.sort()

    def next_ms(self, contact: ContactRow, ended_ms: int | None) -> int | None:
        """From ``ended_ms`` to the first later start in the scope of ``contact``."""
        if ended_ms is None:
            return None
        starts = self._starts[self._scope(contact)]
        index = bisect_right(starts, ended_ms)
        return starts[index] - ended_ms if index < len(starts) else None

    def previous_ms(self, contact: ContactRow) -> int | None:
        """From the last earlier end in the scope to the start of ``contact``."""
        ends = self._ends[self._scope(contact)]
        index = bisect_left(ends, contact.started_ms)
        return contact.started_ms - ends[index - 1] if index else None


def _contact_rows(contact: ContactRow, gaps: Sequence[_Gaps]) -> Iterable[Row]:
    header = contact.header
    previous = [gap.previous_ms(contact) for gap in gaps]
    whole = Contact(
        header=header,
        part="interaction",
        started_ms=contact.started_ms,
        ended_ms=contact.ended_ms,
        handled=contact.handled,
        abandoned=contact.abandoned,
        resolved=contact.resolved,
        transferred=contact.transferred,
        handed_off=any(session.handed_off for session in contact.bot_sessions),
        left_bot=any(session.left for session in contact.bot_sessions),
        next_same_intent_ms=gaps[0].next_ms(contact, contact.ended_ms),
        next_same_queue_ms=gaps[1].next_ms(contact, contact.ended_ms),
        next_any_ms=gaps[2].next_ms(contact, contact.ended_ms),
        previous_same_intent_ms=previous[0],
        previous_same_queue_ms=previous[1],
        previous_any_ms=previous[2],
    )
    yield Row(f"{header.interaction_id}/contact", "contact", whole)
    for session in contact.bot_sessions:
        following = [gap.next_ms(contact, session.ended_ms) for gap in gaps]
        yield Row(
            f"{header.interaction_id}/contact/{session.event_id}",
            "contact",
            whole._replace(
                header=_credited(contact, session),
                part="bot_session",
                started_ms=session.started_ms,
                ended_ms=session.ended_ms,
                handed_off=session.handed_off,
                left_bot=session.left,
                next_same_intent_ms=following[0],
                next_same_queue_ms=following[1],
                next_any_ms=following[2],
            ),
        )


def _credited(contact: ContactRow, session: BotSession) -> Header:
    return contact.header._replace(
        performer_kind="bot",
        performer_id=session.performer_id,
        model_version=session.model_version,
    )


def _journeys(ordered: Sequence[ContactRow]) -> Iterable[Row]:
    chains: defaultdict[tuple[str, str], list[list[ContactRow]]] = defaultdict(list)
    for contact in ordered:
        found = chains[contact.header.direction, contact.header.intent]
        if not found or not _goes_on(found[-1], contact):
            found.append([])
        found[-1].append(contact)
    for journeys in chains.values():
        for contacts in journeys:
            first = contacts[0].header.interaction_id
            yield Row(f"{first}/journey", "journey", _journey(contacts))


def _goes_on(journey: Sequence[ContactRow], contact: ContactRow) -> bool:
    ends = [c.ended_ms if c.ended_ms is not None else contact.started_ms for c in journey]
    return bool(contact.header.customer_key) and contact.started_ms - max(ends) <= JOURNEY_GAP_MS


def _journey(contacts: Sequence[ContactRow]) -> Journey:
    first, last = contacts[0], contacts[-1]
    ends = [c.ended_ms for c in contacts]
    header = first.header._replace(
        performer_kind=last.header.performer_kind,
        performer_id=last.header.performer_id,
        model_version=last.header.model_version,
        site=last.header.site,
        location=last.header.location,
        employment=last.header.employment,
    )
    authentications = sum(c.authentications for c in contacts)
    return Journey(
        header=header,
        started_ms=first.started_ms,
        ended_ms=None if None in ends else max(e for e in ends if e is not None),
        resolved=last.resolved,
        interactions=len(contacts),
        channel_switches=sum(a.header.channel != b.header.channel for a, b in pairwise(contacts)),
        transfers=sum(c.transfers for c in contacts),
        handoffs_without_context=sum(c.handoffs_without_context for c in contacts),
        reauthentications=max(authentications - 1, 0),
        info_repeats=sum(c.info_repeats for c in contacts),
        wait_ms=sum(c.wait_ms for c in contacts),
    )
