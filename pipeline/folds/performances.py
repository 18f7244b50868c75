"""What interactions and plans tell of performers: the rows that travel to a performer's history."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pipeline.folds.event import Event
from pipeline.folds.rows import Row
from schemas.facts import HandlingSegment, Header, Interaction


class StintRow(msgspec.Struct, frozen=True, array_like=True, tag="stint"):
    """One stint of a performer. ``is_contact`` is false for work on a contact that is not told.

    ``left_ms`` and ``closed_ms`` are null while the performer serves and works on it. A stint whose
    end was never told ends with the last sign of life of its contact.
    """

    header: Header
    is_contact: bool
    accepted_ms: int
    left_ms: int | None
    closed_ms: int | None


class ShiftRow(msgspec.Struct, frozen=True, array_like=True, tag="shift"):
    """One activity that a performer is scheduled for."""

    header: Header
    activity: str
    starts_ms: int
    ends_ms: int


Performance = StintRow | ShiftRow


def performances(
    key: str, rows: Iterable[Row], events: Iterable[Event]
) -> dict[str, tuple[str, Performance]]:
    """Stints and schedule entries of one key by id, each with the performer whose they are.

    Bots have none: they serve as many as come, and no working time is theirs.
    """
    found: dict[str, tuple[str, Performance]] = {}
    ended = {r.fact_id: r.fact.ended_ms for r in rows if isinstance(r.fact, Interaction)}
    for row in rows:
        if isinstance(row.fact, HandlingSegment) and _is_live(row.fact.header):
            header = row.fact.header
            stint = _stint(row.fact, ended.get(header.interaction_id))
            found[row.fact_id] = header.performer_id, stint
    entry = max(
        (e for e in events if e.kind == "plan" and e.plan == "schedule"),
        key=lambda e: e.order,
        default=None,
    )
    if entry is not None and entry.performer_id and entry.value_micro:
        shift = _shift(entry)
        if shift is not None:
            found[f"schedule/{key}"] = entry.performer_id, shift
    return found


def _is_live(header: Header) -> bool:
    return bool(header.performer_id) and header.performer_kind != "bot"


def _stint(fact: HandlingSegment, ended_ms: int | None) -> StintRow:
    left_ms, closed_ms = fact.left_ms, fact.closed_ms
    if fact.unknown_end:
        left_ms = closed_ms = max(fact.accepted_ms, ended_ms or 0)
    return StintRow(fact.header, fact.via != "wrap_only", fact.accepted_ms, left_ms, closed_ms)


def _shift(entry: Event) -> ShiftRow | None:
    if entry.starts_ms is None or entry.ends_ms is None or entry.starts_ms >= entry.ends_ms:
        return None
    header = header_of_performer(entry)
    return ShiftRow(header, entry.activity or ON_QUEUE, entry.starts_ms, entry.ends_ms)


ON_QUEUE = "on_queue"
"""What is scheduled where a schedule entry names no activity."""


def header_of_performer(event: Event) -> Header:
    """The header of what is said of a performer rather than of a contact."""
    return Header(
        channel=event.channel,
        queue=event.queue,
        performer_kind=event.performer_kind or "human",
        performer_id=event.performer_id,
        model_version=event.model_version,
        kcr_task=event.kcr_task,
        capability=event.capability,
        client=event.client,
        vendor=event.vendor,
        site=event.site,
        location=event.location,
        employment=event.employment,
        language=event.language,
        source=event.source,
        flow=event.flow,
        team=event.team,
    )
