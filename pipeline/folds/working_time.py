"""One performer's time, cut wherever state, schedule or the number of contacts changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pipeline.folds.adherence import activity
from pipeline.folds.performances import ShiftRow, StintRow, header_of_performer
from pipeline.folds.standing import OFFLINE, Moment
from schemas.facts import Header, PerformerTime


class _Instant(NamedTuple):
    """What holds from one boundary to the next."""

    moment: Moment | None
    stints: tuple[StintRow, ...]
    shift: ShiftRow | None
    contacts: int


def working_time(
    moments: Sequence[Moment],
    stints: Iterable[StintRow],
    shifts: Iterable[ShiftRow],
    as_of_ms: int,
    from_ms: int | None = None,
) -> tuple[list[PerformerTime], int | None, int]:
    """Stretches in order, when the schedule will next change them, and how often it has.

    The schedule is told as far as the clock (``as_of_ms``, UTC epoch milliseconds), or the last
    thing that happened, has come. Where entries of it overlap, the one that began last counts: a
    break lies within a shift. With ``from_ms``, an instant that the clock has passed, all of this
    is told from there on.
    """
    stints, shifts = list(stints), list(shifts)
    boundaries = {moment.at_ms for moment in moments}
    for stint in stints:
        ends = (stint.left_ms, stint.closed_ms)
        boundaries.update(at for at in (stint.accepted_ms, *ends) if at is not None)
    horizon_ms = max(boundaries | {as_of_ms})
    planned = {at for shift in shifts for at in (shift.starts_ms, shift.ends_ms)}
    if from_ms is not None:
        boundaries = {from_ms, *(at for at in boundaries if at >= from_ms)}
        planned = {at for at in planned if at >= from_ms}
    passed = {at for at in planned if at <= horizon_ms}
    boundaries |= passed
    due_ms = min((at for at in planned if at > horizon_ms), default=None)
    return list(_stretches(sorted(boundaries), moments, stints, shifts)), due_ms, len(passed)


def _stretches(
    boundaries: Sequence[int],
    moments: Sequence[Moment],
    stints: Sequence[StintRow],
    shifts: Sequence[ShiftRow],
) -> Iterator[PerformerTime]:
    current: PerformerTime | None = None
    for at_ms, instant in _instants(boundaries, moments, stints, shifts):
        told = _told(at_ms, instant)
        if current is not None and told is not None and _same(current, told):
            continue
        if current is not None:
            yield current._replace(left_ms=at_ms)
        current = told
    if current is not None:
        yield current


def _same(one: PerformerTime, other: PerformerTime) -> bool:
    return one._replace(entered_ms=other.entered_ms) == other


def _instants(
    boundaries: Sequence[int],
    moments: Sequence[Moment],
    stints: Sequence[StintRow],
    shifts: Sequence[ShiftRow],
) -> Iterator[tuple[int, _Instant]]:
    """What holds from each boundary on; whatever ends there has ended."""
    states = iter([*moments, None])
    following = next(states)
    moment = None
    waiting = sorted(stints, key=lambda s: s.accepted_ms, reverse=True)
    planned = sorted(shifts, key=lambda s: s.starts_ms, reverse=True)
    working: list[StintRow] = []
    scheduled: list[ShiftRow] = []
    for at_ms in boundaries:
        while following is not None and following.at_ms <= at_ms:
            moment, following = following, next(states)
        while waiting and waiting[-1].accepted_ms <= at_ms:
            working.append(waiting.pop())
        while planned and planned[-1].starts_ms <= at_ms:
            scheduled.append(planned.pop())
        working = [s for s in working if s.closed_ms is None or s.closed_ms > at_ms]
        scheduled = [s for s in scheduled if s.ends_ms > at_ms]
        served = sum(s.is_contact and (s.left_ms is None or s.left_ms > at_ms) for s in working)
        shift = max(
            scheduled, key=lambda s: (s.starts_ms, -s.ends_ms, s.activity, s.header), default=None
        )
        yield at_ms, _Instant(moment, tuple(working), shift, served)


def _told(at_ms: int, instant: _Instant) -> PerformerTime | None:
    """The stretch that begins here; None where there is no time to be told."""
    moment, shift = instant.moment, instant.shift
    state = moment.state if moment is not None else ""
    logged_in = state not in ("", OFFLINE)
    handling = bool(instant.stints)
    if not (logged_in or handling or shift is not None):
        return None
    scheduled = shift.activity if shift is not None else ""
    wanted = activity(scheduled) if scheduled else None
    # Who works on a contact is there, though nothing was told; else no sign-in is none.
    shown = state or ("busy" if handling else OFFLINE)
    return PerformerTime(
        header=_header(instant),
        entered_ms=at_ms,
        left_ms=None,
        state=state,
        reason=moment.reason if moment is not None else "",
        logged_in=logged_in,
        contacts=instant.contacts,
        handling=handling,
        activity=scheduled,
        tracked=wanted is not None and bool(wanted.states),
        in_adherence=wanted is not None and shown in wanted.states,
        paid=logged_in or (wanted is not None and wanted.paid),
    )


def _header(instant: _Instant) -> Header:
    """Where and for whom the performer is: by the state in force, else by schedule or contact."""
    if instant.moment is not None:
        return header_of_performer(instant.moment.event)
    if instant.shift is not None:
        return instant.shift.header
    last = max(instant.stints, key=lambda s: (s.accepted_ms, s.header)).header
    return last._replace(interaction_id="", customer_key="", direction="inbound", intent="")
