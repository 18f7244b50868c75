"""The fold of one interaction: ``fold(events, as_of_ms) -> rows``, a pure function of a set.

Arrival order, batching and restarts cannot matter: events are sorted canonically, and all rows come
out each time. A row no longer returned has ceased to exist and is published as deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final

from pipeline.folds import case, judgement, links
from pipeline.folds.event import ANNOTATING, JUDGING, LINKING, OF_CASES, Event
from pipeline.folds.rows import CasePart, ContactRow, Folded, Link, Row
from pipeline.folds.silence import Silence
from pipeline.folds.telling import Telling

CODE_VERSION = 6
"""Version of the rules of this fold; a higher one replaces the rows of a lower one."""

_ASIDE: Final = JUDGING | OF_CASES | {LINKING}
"""Kinds that have no part in the course of an interaction."""
_BEGINNING: Final = frozenset(("started", "bot_started"))
_order_of: Final = attrgetter("order")


def fold(
    interaction_id: str,
    events: Iterable[Event],
    as_of_ms: int,
    silence: Silence | None = None,
    restarts_ms: Sequence[int] = (),
) -> Folded:
    """Facts of one interaction as of ``as_of_ms`` (UTC epoch milliseconds).

    ``events`` are distinct by id; their order does not matter. Some platforms never end a
    conversation: such a key is cut into sessions where a new start follows a long silence.
    ``restarts_ms`` are the moments at which the platform began anew and lost its open contacts.
    """
    limits = silence or Silence()
    ordered = sorted(events, key=_order_of)
    kinds = {event.kind for event in ordered}
    # Most interactions are nothing but their course: what is beside it is looked for only where
    # some event tells of it.
    aside = not kinds.isdisjoint(_ASIDE)
    course = [e for e in ordered if e.kind not in _ASIDE] if aside else ordered
    cases: tuple[CasePart, ...] = ()
    matter = ""
    if (aside and not kinds.isdisjoint(OF_CASES)) or any(e.case_id for e in ordered):
        matter = case.matter(interaction_id, ordered)
        cases = case.parts(interaction_id, ordered)
    linked: tuple[Link, ...] = ()
    if LINKING in kinds:
        customer = next((e.customer_key for e in reversed(course) if e.customer_key), "")
        linked = links.told(interaction_id, ordered, customer)
    rows: list[Row] = []
    contacts: list[ContactRow] = []
    dues: list[int] = []
    tellings: list[Telling] = []
    for number, session in enumerate(_sessions(course, limits)):
        root_id = interaction_id if number == 0 else f"{interaction_id}@{session[0].occurred_ms}"
        told = Telling(root_id, session, limits, as_of_ms, restarts_ms)
        tellings.append(told)
        if not told.exists:
            rows.extend(told.lone_wraps())
            continue
        rows.extend(told.rows())
        contacts.append(told.contact(matter))
        if told.due_ms is not None:
            dues.append(told.due_ms)
    if aside and not kinds.isdisjoint(JUDGING):
        judging = [e for e in ordered if e.kind in JUDGING]
        rows.extend(_judgements(interaction_id, tellings, judging))
    return Folded(
        tuple(rows), tuple(contacts), min(dues, default=None), cases, linked,
        _passed(ordered, tellings, restarts_ms),
    )  # fmt: skip


def _passed(
    events: Sequence[Event], tellings: Sequence[Telling], restarts_ms: Sequence[int]
) -> int:
    """How many sessions silence has ended, and how many restarts may have ended one."""
    given_up = sum([told.exists and told.story.given_up for told in tellings])
    restarts = sum([at_ms >= events[0].occurred_ms for at_ms in restarts_ms]) if events else 0
    return given_up + 2 * restarts


def _judgements(
    interaction_id: str, tellings: Sequence[Telling], judging: Sequence[Event]
) -> Iterable[Row]:
    """Rows of what judges sessions: of the last that had begun, else of the first."""
    unknown = Telling(interaction_id, (), Silence(), 0, ())
    by_session: dict[Telling, list[Event]] = {}
    homes: dict[tuple[str, str], Telling] = {}
    for event in judging:
        begun = [t for t in tellings if t.events[0].occurred_ms <= event.occurred_ms]
        home = (begun[-1:] or [*tellings[:1], unknown])[0]
        # What is told in parts belongs where its first part does.
        home = homes.setdefault(judgement.identity(event), home)
        by_session.setdefault(home, []).append(event)
    for told, events in by_session.items():
        yield from judgement.rows(told, events)


def _sessions(events: Sequence[Event], silence: Silence) -> Iterable[Sequence[Event]]:
    if _BEGINNING.isdisjoint([e.kind for e in events[1:]]):
        return (events,) if events else ()
    return _cut(events, silence)


def _cut(events: Sequence[Event], silence: Silence) -> Iterable[list[Event]]:
    session: list[Event] = []
    last_ms = 0
    for event in events:
        starts = event.kind in _BEGINNING and not event.previous_leg_id
        if session and starts:
            with_bot = event.kind == "bot_started" and not any(
                e.kind in ("accepted", "queued") for e in session
            )
            if event.occurred_ms - last_ms >= silence.of(event.channel, with_bot=with_bot):
                yield session
                session = []
        session.append(event)
        if event.kind not in ANNOTATING:
            last_ms = event.occurred_ms
    if session:
        yield session
