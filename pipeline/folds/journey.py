"""The fold of one customer: contacts with their gaps, and journeys.

Repeat windows of any length are questions to the gaps kept here, so no window decides what is kept.
Contacts count as repeats of contacts in the same direction only: a call out is no repeat of a call
in. Gaps to calls out stand apart, and so do gaps that leave abandoned contacts out. A contact
without a known customer has no neighbours.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import inf
from operator import attrgetter
from typing import Any, Final, NamedTuple

from pipeline.folds.rows import BotSession, ContactRow, Folded, Row
from schemas.facts import Contact, Header, Journey

CODE_VERSION = 5
"""Version of the rules of this fold."""

JOURNEY_GAP_MS = 7 * 86_400_000
"""Contacts on one intent with no longer gap between them are one journey."""


def fold(contacts: Iterable[ContactRow]) -> Folded:
    """Contact and journey rows of one customer, from all contacts known."""
    ordered = sorted(contacts, key=lambda c: (c.started_ms, c.header.interaction_id))
    outbound = [c for c in ordered if c.header.direction == "outbound"]
    alone = len(ordered) == 1 and _is_sound(ordered[0])
    gaps = _NO_GAPS if alone else _history(ordered, outbound)
    called_ms = [c.started_ms for c in outbound if c.handled]
    rows: list[Row] = []
    for journey in _journeys(ordered):
        first = journey[0].header.interaction_id
        rows.append(Row(f"{first}/journey", "journey", _journey(journey)))
        for contact in journey:
            called_back_ms = _called_back_ms(contact, called_ms)
            rows.extend(_contact_rows(contact, gaps, called_back_ms, first))
    return Folded(tuple(rows), (), None)


def _history(ordered: Sequence[ContactRow], outbound: Sequence[ContactRow]) -> _History:
    kept = [c for c in ordered if not c.abandoned]
    same = _scopes(ordered, directed=True)
    return _History(
        same=same,
        kept=same if len(kept) == len(ordered) else _scopes(kept, directed=True),
        outbound=_scopes(outbound, directed=False) if outbound else (),
    )


def _is_sound(contact: ContactRow) -> bool:
    """Whether nothing of a contact ends before the contact starts: it is no neighbour of itself."""
    ends = (contact.ended_ms, *(session.ended_ms for session in contact.bot_sessions))
    return all(end is None or end >= contact.started_ms for end in ends)


class _History(NamedTuple):
    """Gaps among contacts of one direction, the same without abandoned ones, and to calls out.

    Each has four scopes: the same intent, the same queue, any, the same case. Without abandoned
    contacts ``kept`` is ``same``; without calls out ``outbound`` is empty.
    """

    same: tuple[_Gaps | _NoGaps, ...]
    kept: tuple[_Gaps | _NoGaps, ...]
    outbound: tuple[_Gaps | _NoGaps, ...]


def _scopes(contacts: Sequence[ContactRow], *, directed: bool) -> tuple[_Gaps | _NoGaps, ...]:
    def direction(contact: ContactRow) -> str:
        return contact.header.direction if directed else ""

    of_cases = [c for c in contacts if c.matter]
    return (
        _Gaps(contacts, lambda c: (direction(c), c.header.intent)),
        _Gaps(contacts, lambda c: (direction(c), c.header.queue)),
        _Gaps(contacts, lambda c: (direction(c),)),
        _Gaps(of_cases, lambda c: (direction(c), c.matter)) if of_cases else _NONE[0],
    )


def _called_back_ms(contact: ContactRow, calls_ms: Sequence[int]) -> int | None:
    """When a human served the customer after a callback was asked for: there, or in a call out."""
    if contact.callback_ms is None:
        return None
    found = [ms for ms in calls_ms if ms > contact.callback_ms]
    if contact.called_back_ms is not None:
        found.append(contact.called_back_ms)
    return min(found, default=None)


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


class _NoGaps:
    """What a contact that is alone has of neighbours."""

    def next_ms(self, contact: ContactRow, ended_ms: int | None) -> int | None:  # noqa: ARG002
        """Nothing comes after it."""
        return None

    def previous_ms(self, contact: ContactRow) -> int | None:  # noqa: ARG002
        """Nothing was before it."""
        return None


_NONE: Final = (_NoGaps(),) * 4
_NO_GAPS: Final = _History(_NONE, _NONE, _NONE)


def _contact_rows(
    contact: ContactRow, gaps: _History, called_back_ms: int | None, journey_id: str
) -> Iterable[Row]:
    header = contact.header
    previous = [gap.previous_ms(contact) for gap in gaps.same]
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
        previous_same_intent_ms=previous[0],
        previous_same_queue_ms=previous[1],
        previous_any_ms=previous[2],
        previous_same_case_ms=previous[3],
        handled_by=contact.handled_by,
        bot_outcome="",
        turns=0,
        callback_ms=contact.callback_ms,
        called_back_ms=called_back_ms,
        journey_id=journey_id,
        matter=contact.matter,
        **_following(contact, contact.ended_ms, gaps),
    )
    yield Row(f"{header.interaction_id}/contact", "contact", whole)
    for session in contact.bot_sessions:
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
                bot_outcome=session.outcome,
                turns=session.turns,
                **_following(contact, session.ended_ms, gaps),
            ),
        )


def _following(contact: ContactRow, ended_ms: int | None, gaps: _History) -> dict[str, Any]:
    """Columns of what came after ``ended_ms``."""
    same = [scope.next_ms(contact, ended_ms) for scope in gaps.same]
    kept = same
    if gaps.kept is not gaps.same:
        kept = [scope.next_ms(contact, ended_ms) for scope in gaps.kept]
    outbound = [scope.next_ms(contact, ended_ms) for scope in gaps.outbound]
    return dict(zip(_FOLLOWING, (*same, *kept, *(outbound or _NOTHING)), strict=True))


_FOLLOWING = tuple(
    f"next_{scope}{suffix}_ms"
    for suffix in ("", "_kept", "_outbound")
    for scope in ("same_intent", "same_queue", "any", "same_case")
)
_NOTHING = (None,) * 4


def _credited(contact: ContactRow, session: BotSession) -> Header:
    return contact.header._replace(
        performer_kind="bot",
        performer_id=session.performer_id,
        model_version=session.model_version,
        flow=session.flow,
        team=session.team,
    )


def _journeys(ordered: Sequence[ContactRow]) -> list[list[ContactRow]]:
    """Contacts that go on with each other: on one matter, or on one intent in time.

    A matter joins contacts of a known customer in any direction, after any time. Contacts without
    one are joined by direction and intent, and never with those that name one.
    """
    journeys: list[list[ContactRow]] = []
    chains: dict[tuple[str, ...], list[ContactRow]] = {}
    reached_ms: dict[tuple[str, ...], float] = {}
    for contact in ordered:
        known = bool(contact.header.customer_key)
        matter = contact.matter if known else ""
        chain = (matter,) if matter else (contact.header.direction, contact.header.intent)
        found = chains.get(chain)
        silent_ms = contact.started_ms - reached_ms.get(chain, -inf)
        if found is None or not (matter or (known and silent_ms <= JOURNEY_GAP_MS)):
            found = chains[chain] = []
            reached_ms[chain] = -inf
            journeys.append(found)
        found.append(contact)
        # What goes on has no end that could be too long ago.
        end_ms = inf if contact.ended_ms is None else contact.ended_ms
        reached_ms[chain] = max(reached_ms[chain], end_ms)
    return journeys


def _matter(journey: Iterable[ContactRow]) -> str:
    return next((contact.matter for contact in journey if contact.matter), "")


def _handled_by(journey: Iterable[ContactRow]) -> str:
    kinds = {contact.handled_by for contact in journey} - {"none"}
    return "none" if not kinds else kinds.pop() if len(kinds) == 1 else "both"


def _given_up_in(contact: ContactRow) -> str:
    """Where a contact was given up by its customer: a queue, a bot, or nowhere."""
    if contact.abandoned:
        return "queue"
    last_bot = contact.bot_sessions[-1] if contact.bot_sessions else None
    return "bot" if last_bot is not None and last_bot.left and not contact.queued else ""


_COUNTS = attrgetter(
    "authentications", "transfers", "handoffs_without_context", "info_repeats", "wait_ms"
)


def _journey(contacts: Sequence[ContactRow]) -> Journey:
    return journey_of_one(contacts[0]) if len(contacts) == 1 else journey_of_many(contacts)


def journey_of_one(contact: ContactRow) -> Journey:
    """The journey of a contact that no other goes on with: what most are, so told directly."""
    header, sessions = contact.header, contact.bot_sessions
    return Journey(
        header=header,
        started_ms=contact.started_ms,
        ended_ms=contact.ended_ms,
        resolved=contact.resolved,
        resolved_ms=contact.ended_ms if contact.resolved else None,
        entered_bot=bool(sessions),
        entered_queue=contact.queued,
        given_up_in=_given_up_in(contact),
        interactions=1,
        channel_switches=0,
        transfers=contact.transfers,
        handoffs_without_context=contact.handoffs_without_context,
        reauthentications=max(contact.authentications - 1, 0),
        info_repeats=contact.info_repeats,
        wait_ms=contact.wait_ms,
        matter=contact.matter,
        channels=len(set(contact.channels)) or 1,
        reopens=0,
        handled_by=contact.handled_by,
        bot_sessions=len(sessions),
        handoffs=sum(session.handed_off for session in sessions),
        first_performer_kind=header.performer_kind,
        first_performer_id=header.performer_id,
        first_model_version=header.model_version,
        first_team=header.team,
    )


def journey_of_many(contacts: Sequence[ContactRow]) -> Journey:
    """The journey of contacts that go on with each other, in order; at least one."""
    first, last = contacts[0], contacts[-1]
    ends = [c.ended_ms for c in contacts]
    header = first.header
    if last is not first:
        header = header._replace(
            performer_kind=last.header.performer_kind,
            performer_id=last.header.performer_id,
            model_version=last.header.model_version,
            site=last.header.site,
            location=last.header.location,
            employment=last.header.employment,
            team=last.header.team,
        )
    authentications, transfers, without_context, info_repeats, wait_ms = (
        sum(column) for column in zip(*map(_COUNTS, contacts), strict=True)
    )
    sessions = [session for c in contacts for session in c.bot_sessions]
    return Journey(
        header=header,
        started_ms=first.started_ms,
        ended_ms=None if None in ends else max(e for e in ends if e is not None),
        resolved=last.resolved,
        resolved_ms=last.ended_ms if last.resolved else None,
        entered_bot=any(c.bot_sessions for c in contacts),
        entered_queue=any(c.queued for c in contacts),
        given_up_in=_given_up_in(last),
        interactions=len(contacts),
        channel_switches=sum(a.header.channel != b.header.channel for a, b in pairwise(contacts)),
        transfers=transfers,
        handoffs_without_context=without_context,
        reauthentications=max(authentications - 1, 0),
        info_repeats=info_repeats,
        wait_ms=wait_ms,
        matter=_matter(contacts),
        channels=len({name for c in contacts for name in c.channels or (c.header.channel,)}),
        reopens=sum(a.resolved is True for a, _ in pairwise(contacts)),
        handled_by=_handled_by(contacts),
        bot_sessions=len(sessions),
        handoffs=sum(session.handed_off for session in sessions),
        first_performer_kind=first.header.performer_kind,
        first_performer_id=first.header.performer_id,
        first_model_version=first.header.model_version,
        first_team=first.header.team,
    )
